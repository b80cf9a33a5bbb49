use serde_json::{Value as Json, json};

use crate::support::bin::Mlops;
use crate::support::project;
use crate::support::server::Db;

const CONFIG: &str =
    "version: 1\nproject: p\ntemplates: own\ngates: {model: {m: {predictions: {file: p.csv, label: y, score: p}, metrics: {roc_auc: 0.9}}}}\n";
const ROWS: &str = "y,p\n1,0.9\n0,0.1\n";

#[test]
fn a_template_of_ones_own_takes_the_place_of_ours() {
    let project = project::with(&[
        ("mlops.yml", CONFIG),
        ("p.csv", ROWS),
        ("own/report.md.hbs", "# {{cell project}} by us\n{{#each stages}}* {{cell name}}\n{{/each}}"),
    ]);
    let run = || Mlops::new(project.path()).args(["run"]).run();
    run().expect(0);
    assert_eq!(project.read("mlops-out/report.md"), "# p by us\n* evaluate\n");
    project.write("own/report.md.hbs", "{{#each stages}}");
    run().expect(2).says("own/report.md.hbs").says("mlops.yml:3");
    project.write("own/report.md.hbs", "{{projct}}");
    // What is wrong only with the data of a run is found when it is rendered, and a green run without its report is none.
    run().expect(3).says("WARN markdown: template report.md").says("projct");
    std::fs::rename(project.path().join("own/report.md.hbs"), project.path().join("own/reprot.md.hbs")).expect("rename");
    run().expect(2).says("did you mean `report.md`");
    project.write("mlops.yml", &CONFIG.replace("own", "nowhere"));
    run().expect(2).says("nowhere");
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let project = project::with(&[]);
    let mlops = |args: &[&'static str]| Mlops::new(project.path()).args(args.iter().copied()).run().expect(0).out;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = mlops(&["completions", shell]);
        assert!(["doctor", "promote", "comment-key"].iter().all(|word| script.contains(word)), "{shell}");
    }
    assert!(mlops(&["man"]).contains(".TH mlops 1"));
    mlops(&["man", "man1"]);
    for page in ["mlops", "mlops-run", "mlops-report-merge", "mlops-model-promote"] {
        assert!(project.read(&format!("man1/{page}.1")).contains(".SH NAME"), "{page}");
    }
}

#[test]
fn the_doctor_says_what_is_missing_and_what_to_do() {
    let db = Db::new();
    let project = project::with(&[("mlops.yml", "version: 1\nproject: p\ndatabase: {url: \"${DATABASE_URL:-}\"}\ngates: {data: {t: {rows: 1}}}\n")]);
    let doctor = |url: &str| Mlops::new(project.path()).args(["doctor"]).env("DATABASE_URL", url).run();
    doctor(&db.url()).expect(0).says("passed database version: PostgreSQL 15").says("may make a scratch database");
    db.sql("create role poor login password 'a-poor-pass'");
    let url = db.url();
    let (_, place) = url.rsplit_once('@').expect("place");
    let poor = format!("postgres://poor:a-poor-pass@{place}");
    let ended = doctor(&poor).expect(1).says("failed database own tables: poor may not make the schema `mlops`").says("grant create on database");
    assert!(!ended.out.contains("a-poor-pass"));
    doctor("postgres://u@127.0.0.1:9/d").expect(1).says("failed database connection");
    doctor("").expect(0).says("a throwaway PostgreSQL 15");
    assert!(!project.has("mlops-out"), "it only looks");
    project.write("mlops.yml", "version: 1\nproject: p\ngates: {data: {t: {rwos: 1}}}\n");
    doctor("").expect(1).says("did you mean `rows`");
    std::fs::remove_file(project.path().join("mlops.yml")).expect("gone");
    doctor("").expect(1).says("`mlops init` writes one");
    let json = Mlops::new(project.path()).args(["doctor", "--format", "json"]).run().expect(1).json();
    assert_eq!(json["outcomes"][2]["remedy"], "`mlops init` writes one");
}

#[test]
fn init_writes_what_a_first_run_passes_and_overwrites_nothing() {
    let flights = project::flights();
    let project = project::with(&[]);
    for part in ["db", "data", "model"] {
        std::fs::rename(flights.path().join(part), project.path().join(part)).expect("move");
    }
    let mlops = |args: &[&'static str]| Mlops::new(project.path()).args(args.iter().copied()).run();
    mlops(&["init"]).expect(0).says("mlops.yml: written").says(".github/workflows/mlops.yml: written");
    let config = project.read("mlops.yml");
    assert!(config.contains("migrate: {dir: db/migrations}") && config.contains("- {table: flights, file: data/flights.parquet}"), "{config}");
    mlops(&["run"]).expect(0);
    project.write(".github/workflows/mlops.yml", "mine");
    project.write("mlops.yml", &config.replace("dir: db/migrations", "dir: db/migrations, wait: 9s"));
    mlops(&["init"]).expect(0).says("mlops.yml: kept").says("workflows/mlops.yml: kept");
    assert!(project.read("mlops.yml").contains("wait: 9s") && project.read(".github/workflows/mlops.yml") == "mine");
    project.write(".gitlab-ci.yml", "job: {script: make}\n");
    let json = mlops(&["init", "--format", "json", "--ci", "gitlab"]).expect(0).json();
    assert_eq!((&json["done"][1]["what"], &json["done"][1]["file"]), (&json!("kept"), &json!(".gitlab-ci.yml")));
    assert!(json["done"][1]["message"].as_str().expect("message").contains("alias: postgres"));
    let empty = project::with(&[]);
    Mlops::new(empty.path()).args(["init"]).run().expect(2).says("there is nothing to begin with");
    assert!(!empty.has("mlops.yml") && !empty.has(".github"));
}

#[test]
fn init_proposes_gates_that_hold_for_any_table() {
    let db = Db::new();
    db.sql(
        r#"create table "odd names" ("a b" text primary key, "yes" text, "n" numeric, c char(3), arr int[], d date, j jsonb);
           insert into "odd names" select 'k: ' || i || ', {x}', case when i % 2 = 0 then 'a, b' else 'no' end, i / 3.0, 'x', array[i], now(), '{}' from generate_series(1, 100) i;
           create table child (id int primary key, parent text references "odd names", share float8, big bigint);
           insert into child select i, 'k: ' || i || ', {x}', i * 0.001, 9007199254740993 - i from generate_series(1, 100) i;
           create table nothing (a int); create table nulls (a int, b text); insert into nulls select null, null from generate_series(1, 10);
           create table nan (f float8); insert into nan values ('NaN'), (1), (2), ('Infinity');
           create table private (password text, email text, kind text, long text);
           insert into private select 'hunter2', 'joe@example.com', '${HOME}', repeat('x', 1000) from generate_series(1, 40);
           create table empty_keyed (id int primary key, b int unique);
           create table endless (f float8, tiny float8); insert into endless select case when i = 1 then 'Infinity'::float8 else i end, i * 1e-15 from generate_series(1, 50) i;
           create table orphans (parent text); insert into orphans values ('nobody');
           alter table orphans add foreign key (parent) references "odd names" not valid;
           create table huge (n numeric); insert into huge values (1e309), (1);
           create table "Dot.ted" (a int);
           create table alembic_version (version_num text)"#,
    );
    let project = project::with(&[]);
    let url = db.url();
    let mlops =
        |args: &[&'static str]| Mlops::new(project.path()).args(args.iter().copied()).env("DATABASE_URL", &url).env("MLOPS_DATABASE_URL", &url).run();
    let ended = mlops(&["init", "--ci", "none"]).expect(0).says("`mlops migrate import alembic` takes it over");
    ended.says("without gates: Dot.ted could not be looked at").says("without gates: huge could not be looked at");
    let config = project.read("mlops.yml");
    for line in [
        "a b: {type: text, not_null: true, unique: true}",
        "\"yes\": {type: text, not_null: true, in: [\"a, b\", \"no\"]}",
        "parent: {type: text, not_null: true, references: odd names.a b}",
        "share: {type: double precision, not_null: true, range: [0, 0.12]}",
    ] {
        assert!(config.contains(line), "{line} is not in\n{config}");
    }
    assert!(["alembic", "MLOPS", "hunter2", "joe@", "${HOME}", "xxxx"].iter().all(|text| !config.contains(text)), "{config}");
    let run = mlops(&["run"]).expect(0);
    assert!(!run.out.contains("warned"), "{}", run.out);
    // Another day's data: fewer rows, a new value.
    db.sql("delete from child; delete from \"odd names\" where \"yes\" = 'no'; update \"odd names\" set \"yes\" = 'new' where c = 'x'");
    mlops(&["run"]).expect(1).says("child  rows").says("odd names.yes  in");
}

#[test]
fn init_below_the_root_of_a_repository_writes_a_job_that_finds_its_file() {
    let project = project::with(&[(".git/HEAD", "ref: refs/heads/main\n"), ("a b/c $d/migrations/0001_t.up.sql", "create table t (a int);")]);
    let folder = project.path().join("a b/c $d");
    for platform in ["github", "gitlab"] {
        Mlops::new(&folder).args(["init", "--ci", platform]).run().expect(0);
    }
    let read = |file: &str| -> Json { serde_yaml::from_str(&project.read(file)).expect(file) };
    assert_eq!(read(".github/workflows/mlops.yml")["jobs"]["mlops"]["steps"][1]["with"]["config"], "a b/c $d/mlops.yml");
    let job = &read(".gitlab-ci.yml")["mlops"];
    assert_eq!((&job["variables"]["MLOPS_CONFIG"], &job["script"]), (&json!("a b/c $d/mlops.yml"), &json!(["mlops run"])));
    assert_eq!(job["artifacts"]["reports"]["junit"], "a b/c $d/mlops-out/junit.xml");
    std::fs::create_dir(folder.join("folder.yml")).expect("folder");
    Mlops::new(&folder).args(["init", "--config", "folder.yml"]).run().expect(2).says("is a folder");
}

#[test]
fn what_init_writes_is_what_the_platforms_take() {
    let project = project::with(&[("migrations/0001_t.up.sql", "create table t (a int);"), ("migrations/0001_t.down.sql", "drop table t;")]);
    Mlops::new(project.path()).args(["init"]).run().expect(0);
    Mlops::new(project.path()).args(["init", "--ci", "gitlab"]).run().expect(0);
    let read = |file: &str| -> Json { serde_yaml::from_str(&project.read(file)).unwrap_or_else(|e| panic!("{file}: {e}\n{}", project.read(file))) };
    let workflow = read(".github/workflows/mlops.yml");
    let job = &workflow["jobs"]["mlops"];
    assert_eq!(job["services"]["postgres"]["image"], "postgres:15");
    assert_eq!(job["steps"][1]["env"]["DATABASE_URL"], "postgres://postgres:postgres@postgres:5432/postgres");
    assert_eq!(workflow["permissions"], json!({"contents": "read", "pull-requests": "write"}));
    let gitlab = read(".gitlab-ci.yml");
    assert_eq!(gitlab["mlops"]["image"]["entrypoint"], json!([""]));
    assert_eq!(gitlab["mlops"]["artifacts"]["reports"]["junit"], "mlops-out/junit.xml");
}
