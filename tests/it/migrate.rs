use std::process::Child;

use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project};
use crate::support::server::Db;

const CONFIG: &str = "version: 1\nproject: p\ndatabase: {url: \"${DATABASE_URL}\"}\nmigrate: {dir: m}\n";

fn project() -> Project {
    project::with(&[
        ("mlops.yml", CONFIG),
        ("m/0001_a.up.sql", "create table a (id int);\n"),
        ("m/0001_a.down.sql", "drop table a;\n"),
        ("m/0002_b.sql", "-- migrate:up\ncreate table b (id int);\n-- migrate:down\ndrop table b;\n"),
    ])
}

fn mlops(project: &Project, db: &Db, args: &[&'static str]) -> Ended {
    Mlops::new(project.path()).args(args.iter().copied()).env("DATABASE_URL", &db.url()).run()
}

#[test]
fn up_down_and_status() {
    let (project, db) = (project(), Db::new());
    mlops(&project, &db, &["migrate", "status"]).expect(0).says("pending              0001_a");
    assert_eq!(db.sql("select count(*) from pg_namespace where nspname = 'mlops'"), "0", "status writes nothing");
    mlops(&project, &db, &["migrate", "up"]).expect(0).says("at version 0002");
    mlops(&project, &db, &["migrate", "up"]).expect(0).says("at version 0002");
    mlops(&project, &db, &["migrate", "down"]).expect(0).says("passed 0002_b").says("at version 0001");
    assert!(db.has_table("a") && !db.has_table("b"));
    mlops(&project, &db, &["migrate", "down", "9"]).expect(0).says("at version 0 (nothing applied)");
    assert!(!db.has_table("a"));
    assert_eq!(db.sql("select count(*) from mlops.migration where source = 'app'"), "0");
}

#[test]
fn an_edited_missing_or_late_migration_is_refused() {
    let (project, db) = (project(), Db::new());
    mlops(&project, &db, &["run"]).expect(0);
    project.write("m/0001_a.up.sql", "create table a (id bigint);\n");
    mlops(&project, &db, &["run"]).expect(1).says("0001_a.up.sql was edited after it had been applied");
    project.write("m/0001_a.up.sql", "create table a (id int);\r\n");
    mlops(&project, &db, &["run"]).expect(0);
    project.write("m/0003_c.up.sql", "create table c (id int);");
    mlops(&project, &db, &["run"]).expect(0);
    std::fs::remove_file(project.path().join("m/0003_c.up.sql")).expect("remove");
    mlops(&project, &db, &["run"]).expect(1).says("version 0003 (c) was applied to this database, but its file is gone");
    project.write("m/0003_c.up.sql", "create table c (id int);");
    project.write("m/0000002_x.up.sql", "select 1;");
    mlops(&project, &db, &["run"]).expect(1).says("version 0002 is taken by `x`").says("nothing was applied");
}

#[test]
fn a_later_branch_with_an_earlier_number_is_refused() {
    let (project, db) = (project(), Db::new());
    mlops(&project, &db, &["run"]).expect(0);
    project.write("m/0004_d.up.sql", "create table d (id int);");
    mlops(&project, &db, &["run"]).expect(0);
    project.write("m/0003_c.up.sql", "create table c (id int);");
    mlops(&project, &db, &["run"]).expect(1).says("0003_c.up.sql is older than");
    assert!(!db.has_table("c"));
}

#[test]
fn a_down_that_is_missing_is_said_before_anything_is_undone() {
    let (project, db) = (project(), Db::new());
    std::fs::remove_file(project.path().join("m/0001_a.down.sql")).expect("remove");
    mlops(&project, &db, &["migrate", "up"]).expect(0);
    mlops(&project, &db, &["migrate", "down", "2"]).expect(1).says("has no down part");
    assert!(db.has_table("a"));
}

#[test]
fn four_runs_at_once_apply_everything_once() {
    let (project, db) = (project(), Db::new());
    let children: Vec<Child> = (0..4)
        .map(|_| {
            let mut command = Mlops::new(project.path()).args(["migrate", "up"]).env("DATABASE_URL", &db.url()).command();
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    let ended: Vec<Ended> = children.into_iter().map(|child| Ended::from(child.wait_with_output().expect("ends"))).collect();
    let applied: usize = ended.iter().map(|e| e.out.matches("passed 000").count()).sum();
    for e in ended {
        e.expect(0);
    }
    assert_eq!((applied, db.sql("select count(*) from mlops.migration where source = 'app'").as_str()), (2, "2"));
}

#[test]
fn a_folder_without_migrations_is_not_green() {
    let db = Db::new();
    let empty = project::with(&[("mlops.yml", CONFIG), ("m/README.md", "none")]);
    mlops(&empty, &db, &["run"]).expect(3).says("there is no migration in this folder");
    let missing = project::with(&[("mlops.yml", CONFIG)]);
    mlops(&missing, &db, &["run"]).expect(3).says("m: no such file");
}

#[test]
fn a_lock_that_is_held_by_another_session_is_waited_out_with_a_timeout_of_its_own() {
    let (project, db) = (project(), Db::new());
    project.replace("mlops.yml", "migrate: {dir: m}", "migrate: {dir: m, lock_timeout: 200ms, retries: 0}");
    mlops(&project, &db, &["run"]).expect(0);
    project.write("m/0003_c.up.sql", "create table c (id int);\n\nalter table a add column n int;");
    let url = db.url();
    let holder = std::thread::spawn({
        let name = url.rsplit('/').next().expect("name").to_owned();
        move || crate::support::server::hold_lock(&name, "a", 8)
    });
    std::thread::sleep(std::time::Duration::from_millis(700));
    mlops(&project, &db, &["run"]).expect(3).says("canceling statement due to lock timeout").says("open transactions: pid").says("left no trace");
    assert!(!db.has_table("c"));
    holder.join().expect("holder");
    mlops(&project, &db, &["run"]).expect(0);
}

#[test]
fn a_migration_cannot_end_its_own_transaction() {
    for script in ["create table x (i int);\nrollback;", "create table x (i int);\ncommit;\ncreate table y (i int);\nselect 1/0;"] {
        let (project, db) = (project(), Db::new());
        project.write("m/0003_x.up.sql", script);
        mlops(&project, &db, &["run"]).expect(1).says("transaction-nesting").says("nothing was applied");
        // The server refuses it too, should the rule be switched off.
        mlops(&project, &db, &["migrate", "up"]).expect(1).says("leave out begin, commit, rollback").says("left no trace");
        assert!(!db.has_table("x") && !db.has_table("y"));
        assert_eq!(db.sql("select max(version) from mlops.migration where source = 'app'"), "0002");
    }
}

#[test]
fn an_error_has_its_line_behind_odd_characters_and_functions() {
    let (project, db) = (project(), Db::new());
    project.write(
        "m/0003_x.up.sql",
        "-- größer ✓\ncreate function f() returns int language sql as $$ select 1; $$;\ncreate table x (i int);\nselect nope from x;\n",
    );
    mlops(&project, &db, &["run"]).expect(1).says("m/0003_x.up.sql:4: column \"nope\" does not exist");
}

#[test]
fn what_one_migration_sets_does_not_reach_the_next() {
    let (project, db) = (project(), Db::new());
    project.write("m/0003_x.up.sql", "select set_config('search_path', '', false);");
    project.write("m/0004_y.up.sql", "create table y (i int);");
    project.write("m/5_z.SQL", "select 1;");
    mlops(&project, &db, &["run"]).expect(1).says("5_z.SQL: a migration is called");
    std::fs::remove_file(project.path().join("m/5_z.SQL")).expect("remove");
    mlops(&project, &db, &["run"]).expect(0);
    assert!(db.has_table("public.y"));
}

#[test]
fn a_down_that_fails_says_where_the_schema_is() {
    let (project, db) = (project(), Db::new());
    project.replace("m/0002_b.sql", "drop table b;", "drop table b; selekt;");
    mlops(&project, &db, &["migrate", "up"]).expect(0);
    mlops(&project, &db, &["migrate", "down"]).expect(1).says("at version 0002");
    assert!(db.has_table("b"));
}
