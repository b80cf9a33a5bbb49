use crate::support::bin::Mlops;
use crate::support::project::{self, Project};
use crate::support::server::Db;

fn project(seed: &str) -> Project {
    let yaml = format!("version: 1\nproject: p\ndatabase: {{url: \"${{DATABASE_URL}}\"}}\nseed:\n{seed}");
    project::with(&[("mlops.yml", &yaml), ("a.csv", "id,name\n1,one\n2,\"two, \"\"too\"\"\"\n"), ("b.csv", "id,a\n1,1\n")])
}

fn run(project: &Project, db: &Db) -> crate::support::bin::Ended {
    Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).run()
}

const TABLES: &str = "create table a (id int primary key, name text); create table b (id int primary key, a int references a)";

#[test]
fn a_changed_file_replaces_its_table_and_those_that_refer_to_it() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv}\n  - {table: b, file: b.csv}\n"));
    db.sql(TABLES);
    run(&project, &db).expect(0);
    assert_eq!(db.sql("select name from a where id = 2"), "two, \"too\"");
    project.write("a.csv", "id,name\n1,uno\n");
    run(&project, &db).expect(0).says("1 row from a.csv").says("1 row from b.csv");
    assert_eq!(db.sql("select string_agg(id || name, ',') from a"), "1uno");
    run(&project, &db).expect(0).says("unchanged: nothing to load");
}

#[test]
fn a_bad_row_leaves_every_table_as_it_was() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv}\n  - {table: b, file: b.csv}\n"));
    db.sql(&format!("{TABLES}; insert into a values (7, 'old')"));
    project.write("b.csv", "id,a\n1,1\nx,1\n");
    run(&project, &db).expect(1).says("loading b.csv").says("COPY b, line 3, column id: \"x\"").says("nothing was loaded");
    assert_eq!(db.sql("select string_agg(name, ',') from a"), "old");
}

#[test]
fn modes_append_and_if_empty() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv, mode: if-empty}\n  - {table: c, file: b.csv, mode: append}\n"));
    db.sql(&format!("{TABLES}; insert into a values (7, 'old'); create table c (id int, a int); insert into c values (0, 0)"));
    run(&project, &db).expect(0).says("the table has rows already");
    run(&project, &db).expect(0);
    assert_eq!(db.sql("select (select count(*) from a), (select count(*) from c)"), "1|2");
}

#[test]
fn unknown_tables_columns_and_files_are_named() {
    let db = Db::new();
    db.sql(TABLES);
    run(&project("  - {table: aa, file: a.csv}\n"), &db).expect(1).says("table aa does not exist; did you mean `a`?");
    let wrong = project("  - {table: a, file: a.csv}\n");
    wrong.write("a.csv", "id,nmae\n1,x\n");
    run(&wrong, &db).expect(1).says("a.csv: table a has no column `nmae`; did you mean `name`?");
    run(&project("  - {table: a, file: missing.csv}\n"), &db).expect(3).says("missing.csv: no such file");
    run(&project("  - {table: a, file: ../a.csv}\n"), &db).expect(2).says("`../a.csv` leaves the workspace");
    run(&project("  - {table: a}\n"), &db).expect(2).says("missing key `file`");
}

#[test]
fn parquet_keeps_its_values() {
    let db = Db::flights();
    assert_eq!(
        db.sql("select count(*) filter (where dep_time is null), min(time_hour at time zone 'UTC'), max(distance) from flights"),
        "521|2013-01-01 10:00:00|4983"
    );
}

#[test]
fn three_runs_at_once_load_everything_once() {
    let (db, project) = (Db::new(), project("  - {table: t, file: t.csv}\n"));
    db.sql("create table t (i int)");
    let rows: String = (0..20_000).map(|i| format!("{i}\n")).collect();
    project.write("t.csv", &format!("i\n{rows}"));
    let children: Vec<_> = (0..3)
        .map(|i| {
            let own = project::with(&[("mlops.yml", &project.read("mlops.yml")), ("t.csv", &project.read("t.csv"))]);
            let mut command = Mlops::new(own.path()).args(["run"]).env("DATABASE_URL", &db.url()).command();
            (i, command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("starts"), own)
        })
        .collect();
    for (i, mut child, _project) in children {
        assert!(child.wait().expect("ends").success(), "run {i}");
    }
    assert_eq!(db.sql("select count(*), count(distinct i) from t"), "20000|20000");
}

#[test]
fn a_script_cannot_end_the_transaction() {
    for script in ["rollback;", "commit;", "insert into a values (9, 'x'); commit; begin;"] {
        let (db, project) = (Db::new(), project("  - {table: a, file: a.csv}\n  - {sql: s.sql}\n"));
        db.sql(TABLES);
        project.write("s.sql", script);
        run(&project, &db).expect(1).says("leave out begin, commit, rollback").says("nothing was loaded");
        assert_eq!(db.sql("select count(*) from a"), "0", "{script}");
    }
}

#[test]
fn a_file_without_rows_is_loaded_once_and_scripts_run_once() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv}\n  - {table: b, file: b.csv}\n  - {sql: s.sql}\n"));
    db.sql(&format!("{TABLES}; create table log (x text)"));
    project.write("b.csv", "id,a\n");
    project.write("s.sql", "\u{feff}insert into log values ('x')");
    for _ in 0..3 {
        run(&project, &db).expect(0);
    }
    assert_eq!(db.sql("select count(*) from log"), "1");
}

#[test]
fn what_would_lose_rows_or_load_twice_is_refused() {
    let (db, lines) = (Db::new(), project("  - {table: a, file: a.csv}\n"));
    db.sql(TABLES);
    lines.write("a.csv", "id,name\n1,x\n\\.\n2,y\n");
    run(&lines, &db).expect(1).says("a.csv:3: a line `\\.` ends the data");
    run(&project("  - {table: a, file: a.csv}\n  - {table: a, file: b.csv}\n"), &db).expect(2).says("a is loaded above already");
    run(&project("  - {table: a, file: a.csv}\n  - {table: a, file: b.csv, mode: append}\n"), &db).says("column `a`");
}
