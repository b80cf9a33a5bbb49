use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project};
use crate::support::server::Db;

const CONFIG: &str =
    "version: 1\nproject: p\ndatabase: {url: \"${DATABASE_URL}\"}\nmigrate: {dir: m, round_trip: true}\nseed: [{table: t, file: t.csv}]\n";

fn project() -> Project {
    project::with(&[
        ("mlops.yml", CONFIG),
        ("t.csv", "id,name\n1,one\n2,two\n"),
        ("m/0001_t.up.sql", "create table t (id bigint primary key, name text);\n"),
        ("m/0001_t.down.sql", "drop table t;\n"),
    ])
}

fn mlops(project: &Project, db: &Db, args: &[&'static str]) -> Ended {
    Mlops::new(project.path()).args(args.iter().copied()).env("DATABASE_URL", &db.url()).run()
}

#[test]
fn what_loses_rows_needs_a_reason_that_the_history_keeps() {
    let (project, db) = (project(), Db::new());
    mlops(&project, &db, &["run"]).expect(0).says("up, down and up again give the same schemas");
    let page = project.read("mlops-out/report.md");
    let row = "| 0001&#95;t | 1 note | passed: up, down and up again give the same schemas | none on what was there before |";
    assert!(
        page.contains("<b>Pending migrations</b>") && page.contains("\n\n| migration | lint | round trip | locks |") && page.contains(row),
        "{page}"
    );
    project.write("m/0002_drop.up.sql", "alter table t drop column name;\n");
    project.write("m/0002_drop.down.sql", "alter table t add column name text;\n");
    mlops(&project, &db, &["run"]).expect(1).says("ban-drop-column").says("m/0002_drop.up.sql:1").says("t has").says("nothing was applied");
    mlops(&project, &db, &["migrate", "verify"])
        .expect(1)
        .says("the values of public.t.name are gone")
        .says("locks t: AccessExclusive (blocks reads and writes)");
    project.write("m/0002_drop.up.sql", "-- mlops: allow-destructive names moved to people\nalter table t drop column name;\n");
    mlops(&project, &db, &["migrate", "verify"]).expect(0).says("allowed: names moved to people");
    mlops(&project, &db, &["run", "--stages", "migrate"]).expect(0);
    let page = project.read("mlops-out/report.md");
    assert!(page.contains("| 0002&#95;drop | ") && page.contains("| t: AccessExclusive (blocks reads and writes) |"), "{page}");
    assert_eq!(db.sql("select reason from mlops.migration where version = '0002'"), "names moved to people");
    assert_eq!(db.sql("select count(*) from pg_database where datname like 'mlops_scratch%'"), "0", "the scratch database is gone");
}

#[test]
fn a_way_back_that_is_not_exact_names_the_object() {
    let (project, db) = (project(), Db::new());
    project.write("m/0002_more.up.sql", "alter table t add column a int, add column b int;\n");
    project.write("m/0002_more.down.sql", "-- a and b\nalter table t drop column a;\n");
    mlops(&project, &db, &["run"]).expect(1).says("0002_more.down.sql does not bring the schema back as it was").says("+ column public.t.b");
    assert!(!db.has_table("t"), "nothing was applied");
    mlops(&project, &db, &["migrate", "lint"]).expect(0).says("inexact-down").says("the column b is made here");
}

#[test]
fn a_finding_weighs_what_its_table_weighs() {
    let (project, db) = (project(), Db::new());
    project.write("m/0002_i.up.sql", "create index i on t (name);\n");
    project.write("m/0002_i.down.sql", "drop index i;\n");
    mlops(&project, &db, &["migrate", "lint"]).expect(0).says("no such table is here yet");
    mlops(&project, &db, &["migrate", "to", "1"]).expect(0);
    mlops(&project, &db, &["migrate", "lint"]).expect(0).says("t is empty");
    db.sql("insert into t select i, 'x' from generate_series(1, 300) i");
    mlops(&project, &db, &["migrate", "lint"]).expect(0).says("warned 0002_i require-concurrent-index-creation");
    db.sql("insert into t select i, 'x' from generate_series(301, 120000) i; analyze t");
    mlops(&project, &db, &["migrate", "lint"]).expect(1).says("failed 0002_i require-concurrent-index-creation").says("about 120,000 rows");
    project.replace("mlops.yml", "round_trip: true", "round_trip: true, lint: {allow: {\"2\": [require-concurrent-index-creation]}}");
    mlops(&project, &db, &["migrate", "lint"]).expect(0).says("allowed in mlops.yml");
    project.replace("mlops.yml", "require-concurrent-index-creation]", "require-concurent-index-creation]");
    mlops(&project, &db, &["migrate", "lint"]).expect(2).says("did you mean `require-concurrent-index-creation`?");
}

#[test]
fn the_other_verbs_do_what_they_say() {
    let (project, db) = (project(), Db::new());
    mlops(&project, &db, &["migrate", "new", "Add a view!"]).expect(0).says("m/0002_add_a_view.up.sql");
    project.write("m/0002_add_a_view.up.sql", "create view v as select id from t;\n");
    project.write("m/0002_add_a_view.down.sql", "drop view v;\n");
    mlops(&project, &db, &["migrate", "plan"]).expect(0).says("apply 0001_t").says("apply 0002_add_a_view");
    let script = mlops(&project, &db, &["migrate", "sql"]).expect(0).out;
    db.sql(&script);
    mlops(&project, &db, &["migrate", "up"]).expect(0).says("at version 0002");
    db.sql(&mlops(&project, &db, &["migrate", "sql", "--down", "--to", "1"]).expect(0).out);
    mlops(&project, &db, &["migrate", "status"]).expect(0).says("pending              0002_add_a_view");
    db.sql("create view v as select id from t");
    mlops(&project, &db, &["migrate", "stamp", "head"]).expect(0).says("0002_add_a_view is recorded as applied; it was not run");
    mlops(&project, &db, &["migrate", "drift"]).expect(0);
    project.write("m/0001_t.up.sql", "-- with a comment\ncreate table t (id bigint primary key, name text);\n");
    mlops(&project, &db, &["migrate", "up"]).expect(1).says("only comments or layout changed");
    mlops(&project, &db, &["migrate", "repair"]).expect(0).says("has the checksum of 0001_t.up.sql now");
    mlops(&project, &db, &["migrate", "to", "0"]).expect(0).says("at version 0 (nothing applied)");
    mlops(&project, &db, &["migrate", "to", "7"]).expect(1).says("there is no version 7");
    project.write("m/R__v.sql", "create or replace view w as select 1 as one;\n");
    mlops(&project, &db, &["migrate", "up"]).expect(0).says("passed R__v");
    mlops(&project, &db, &["migrate", "up"]).expect(0).says("at version 0002");
    project.write("m/R__v.sql", "create or replace view w as select 1 as one, 2 as two;\n");
    mlops(&project, &db, &["migrate", "up"]).expect(0).says("passed R__v");
    assert_eq!(db.sql("select two from w"), "2");
}

#[test]
fn rows_of_children_that_are_listed_before_their_parents_are_tried_too() {
    let (project, db) = (project(), Db::new());
    project.replace("mlops.yml", "seed: [", "seed: [{table: c, file: c.csv}, {table: new, file: t.csv}, ");
    project.write("c.csv", "id,t\n1,1\n");
    project.write("m/0002_c.up.sql", "create table c (id bigint primary key, t bigint references t);\n");
    project.write("m/0002_c.down.sql", "drop table c;\n");
    mlops(&project, &db, &["migrate", "up"]).expect(0);
    project.write("m/0003_drop.up.sql", "alter table c drop column t;\ncreate table new (id bigint, name text);\n");
    project.write("m/0003_drop.down.sql", "drop table new;\nalter table c add column t bigint references t;\n");
    mlops(&project, &db, &["migrate", "verify"]).expect(1).says("the values of public.c.t are gone");
}
