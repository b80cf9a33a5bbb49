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
    run(&project, &db).expect(1).says("b.csv:3: column id = 'x': invalid input syntax for type integer").says("nothing was loaded");
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
        run(&project, &db).expect(1).says("leave out begin, commit, rollback").says("it left no trace");
        assert_eq!(db.sql("select string_agg(id::text, ',') from a"), "1,2", "{script}");
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
    run(&lines, &db).expect(1).says("a.csv:3: it has 1 field instead of 2");
    run(&project("  - {table: a, file: a.csv}\n  - {table: a, file: b.csv}\n"), &db).expect(2).says("a is loaded above already");
    run(&project("  - {table: a, file: a.csv}\n  - {table: a, file: b.csv, mode: append}\n"), &db).says("column `a`");
}

#[test]
fn parents_come_first_and_what_waits_for_a_failure_is_not_loaded() {
    let db = Db::new();
    db.sql(&format!("{TABLES}; create table c (id int)"));
    let project = project("  - {table: b, file: b.csv}\n  - {table: c, file: c.csv}\n  - {table: a, file: a.csv}\n");
    project.write("a.csv", "id,name\n1,one\n1,again\n");
    project.write("c.csv", "id\n5\n");
    run(&project, &db).expect(1).says("a.csv:3: duplicate key value").says("a was not loaded").says("1 row from c.csv");
    assert_eq!(db.sql("select (select count(*) from a), (select count(*) from b), (select count(*) from c)"), "0|0|1");
    // Mended, it goes on where it stopped.
    project.write("a.csv", "id,name\n1,one\n");
    run(&project, &db).expect(0).says("1 row from b.csv").says("unchanged since the last load");
    project.write("b.csv", "id,a\n1,1\n2,7\n");
    run(&project, &db)
        .expect(1)
        .says("b.csv:3: column a = '7': insert or update on table \"b\" violates foreign key")
        .says("(7) is not present in table \"a\"");
    assert_eq!(db.sql("select count(*) from b"), "1");
}

#[test]
fn tables_in_a_circle_are_an_error_that_names_it() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv}\n  - {table: b, file: b.csv}\n"));
    db.sql(&format!("{TABLES}; alter table a add b int references b"));
    run(&project, &db).expect(1).says("in a circle (a → b → a)").says("nothing was loaded");
}

#[test]
fn an_upsert_changes_what_is_there_and_adds_the_rest() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv, mode: upsert}\n"));
    db.sql("create table a (id int primary key, name text, kept text default 'd'); insert into a values (1, 'one', 'k'), (2, 'old', 'k'), (9, 'mine', 'k')");
    let untouched = db.sql("select xmin from a where id = 1");
    run(&project, &db).expect(0).says("1 row from a.csv");
    assert_eq!(db.sql("select string_agg(concat_ws(':', id, name, kept), ' ' order by id) from a"), "1:one:k 2:two, \"too\":k 9:mine:k");
    assert_eq!(db.sql("select xmin from a where id = 1"), untouched);
    run(&project, &db).expect(0).says("unchanged: nothing to load");
    project.write("a.csv", "id,name\n3,x\n3,y\n");
    run(&project, &db).expect(1).says("a.csv: the key (id) = (3) is there 2 times");
    project.replace("mlops.yml", "mode: upsert", "mode: upsert, key: [name]");
    run(&project, &db).expect(1).says("no unique or exclusion constraint");
    let other = self::project("  - {table: t, file: a.csv, mode: upsert}\n");
    db.sql("create table t (id int, name text)");
    run(&other, &db).expect(1).says("table t has no primary key: `mode: upsert` needs `key`");
}

#[test]
fn sequences_go_on_behind_the_loaded_keys() {
    let (db, project) = (Db::new(), project("  - {table: s, file: a.csv}\n  - {table: i, file: a.csv}\n"));
    db.sql("create table s (id serial primary key, name text); create table i (id bigint generated always as identity, name text)");
    run(&project, &db).expect(0);
    assert_eq!(db.sql("insert into s (name) values ('x') returning id"), "3");
    assert_eq!(db.sql("insert into i (name) values ('x') returning id"), "3");
}

#[test]
fn bad_rows_are_left_out_where_that_is_allowed_and_kept_for_the_reader() {
    let db = Db::new();
    db.sql("create table p (id int primary key); insert into p values (1); create table r (id int primary key, n int not null check (n < 10), p int references p)");
    let project = project("  - {table: r, file: r.csv, max_bad_rows: 6}\n");
    project.write("r.csv", "id,n,p\n1,1,1\n2,x,1\n3,,1\n4,11,1\n5,5,7\n1,2,1\n6,6\n7,7,1\n");
    let ended = run(&project, &db).expect(0);
    let said = [
        "2 rows from r.csv; bad rows were left out and are in mlops-out/rejects/r.csv",
        "r.csv:3: column n = 'x'",
        "r.csv:4: column n is NULL",
        "r.csv:5: ",
    ];
    said.iter().fold(ended, |ended, text| ended.says(text));
    assert_eq!(db.sql("select string_agg(id::text, ',' order by id) from r"), "1,7");
    let rejects = project.read("mlops-out/rejects/r.csv");
    let lines: Vec<&str> = rejects.lines().map(|line| line.split(',').next().expect("line")).collect();
    assert_eq!(lines, ["line", "3", "4", "5", "6", "7", "8"], "{rejects}");
    assert!(rejects.contains("violates foreign key") && rejects.contains("duplicate key") && rejects.contains("2 fields instead of 3"), "{rejects}");
    project.replace("mlops.yml", "max_bad_rows: 6", "max_bad_rows: 2");
    db.sql("truncate r");
    run(&project, &db).expect(1).says("more than 2 bad rows: r.csv:3: column n = 'x'");
    assert_eq!(db.sql("select count(*) from r"), "0");
    // The command's own number holds where it is higher.
    Mlops::new(project.path()).args(["seed", "--max-bad-rows", "6"]).env("DATABASE_URL", &db.url()).run().expect(0);
    project.write("r.csv", "id,n,p\n1,1,1\n");
    run(&project, &db).expect(0);
    assert!(!project.has("mlops-out/rejects/r.csv"), "what was mended is no longer there");
}

#[test]
fn rows_are_made_up_the_same_way_every_time() {
    let columns = "{id: {sequence: 1}, a: {references: a.id, nulls: 10%}, amount: {lognormal: [3, 1], round: 2, max: 500}, at: {timestamp: [\"2026-01-01T00:00:00Z\", \"2026-02-01T00:00:00Z\"]}, plan: {choice: [free, pro], weights: [9, 1]}}";
    let entries = format!("  - {{table: g, rows: 5000, random_seed: 1, columns: {columns}}}\n  - {{table: a, file: a.csv}}\n");
    let project = project(&entries);
    let digest = "select count(*), sum(hashtextextended(g::text, 0)::numeric), count(a), max(amount) <= 500, count(*) filter (where plan = 'pro') between 300 and 700 from g";
    let load = || {
        let db = Db::new();
        db.sql(&format!("{TABLES}; create table g (id int primary key, a int references a, amount numeric, at timestamptz, plan text)"));
        run(&project, &db).expect(0).says("5,000 rows from random seed 1");
        run(&project, &db).expect(0).says("unchanged: nothing to load");
        db.sql(digest)
    };
    let first = load();
    assert!(first.starts_with("5000|") && first.ends_with("|t|t"), "{first}");
    assert_eq!(load(), first);
    project.replace("mlops.yml", "random_seed: 1", "random_seed: 2");
    let db = Db::new();
    db.sql(&format!("{TABLES}; create table g (id int primary key, a int references a, amount numeric, at timestamptz, plan text)"));
    run(&project, &db).expect(0);
    assert_ne!(db.sql(digest), first);
}

#[test]
fn two_connections_load_an_empty_table_and_one_finds_what_they_cannot() {
    let (db, project) = (Db::new(), project("  - {table: t, file: t.csv, connections: 2}\n"));
    db.sql("create table t (i int primary key, x text)");
    let rows: String = (0..60_000).map(|i| format!("{i},text number {i} of a file that is longer than a message\n")).collect();
    project.write("t.csv", &format!("i,x\n{rows}"));
    run(&project, &db).expect(0).says("60,000 rows from t.csv over 2 connections, each in its own transaction");
    assert_eq!(db.sql("select count(*), sum(i), count(distinct x) from t"), "60000|1799970000|60000");
    run(&project, &db).expect(0).says("unchanged");
    // A table with rows is replaced in one transaction.
    project.write("t.csv", "i,x\n1,a\n");
    run(&project, &db).expect(0).says("1 row from t.csv\n");
    project.write("t.csv", &format!("i,x\n{rows}59999,again\n"));
    db.sql("truncate t");
    run(&project, &db).expect(1).says("t.csv:60002: duplicate key value");
    assert_eq!(db.sql("select count(*) from t"), "0");
}

#[test]
fn what_a_half_loaded_table_holds_is_replaced() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv, mode: if-empty, connections: 2}\n"));
    db.sql(TABLES);
    run(&project, &db).expect(0);
    db.sql("update mlops.seed set digest = repeat('0', 64); delete from a where id = 1");
    run(&project, &db).expect(0).says("2 rows from a.csv");
    assert_eq!(db.sql("select count(*) from a"), "2");
    run(&project, &db).expect(0).says("the table has rows already");
}

#[test]
fn a_table_that_others_refer_to_is_emptied_by_rows() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv}\n"));
    db.sql(&format!("{TABLES}; insert into a values (7, 'old')"));
    run(&project, &db).expect(0);
    assert_eq!(db.sql("select string_agg(id::text, ',' order by id) from a"), "1,2");
    db.sql("insert into b values (1, 1)");
    project.write("a.csv", "id,name\n2,x\n");
    run(&project, &db).expect(1).says("violates foreign key constraint").says("it left no trace");
    assert_eq!(db.sql("select count(*) from a"), "2");
}

#[test]
fn what_scripts_make_is_no_drift_but_what_hands_make_is() {
    let project = project("  - {sql: s.sql}\nmigrate: {dir: m}\n");
    project.write("m/0001_t.up.sql", "create table t (i int);");
    project.write("m/0001_t.down.sql", "drop table t;");
    project.write("s.sql", "create or replace view v as select i from t");
    let db = Db::new();
    let drift = || Mlops::new(project.path()).args(["migrate", "drift"]).env("DATABASE_URL", &db.url()).run();
    run(&project, &db).expect(0);
    drift().expect(0);
    db.sql("drop view v; create table by_hand (i int)");
    drift().expect(1).says("- view public.v").says("+ table public.by_hand");
    project.write("s.sql", "create or replace view v as select i from t -- again");
    run(&project, &db).expect(0);
    drift().expect(1).says("+ table public.by_hand");
}

#[test]
fn a_bad_row_takes_no_good_one_with_it() {
    let (db, project) = (Db::new(), project("  - {table: n, file: n.csv, max_bad_rows: 100}\n"));
    db.sql("create table n (a int primary key, b int references n, c int)");
    // Row 700 is bad, and so is 200, which refers to it.
    let rows: String = (0..1000).map(|i| format!("{i},{},{}\n", (i + 500) % 1000, if i == 700 { "x".into() } else { i.to_string() })).collect();
    project.write("n.csv", &format!("a,b,c\n{rows}"));
    run(&project, &db).expect(0).says("998 rows from n.csv; bad rows were left out");
    // What was left out is not forgotten.
    run(&project, &db).expect(0).says("bad rows were left out");
    project.replace("mlops.yml", ", max_bad_rows: 100", "");
    run(&project, &db).expect(1).says("n.csv:702: column c = 'x'");
}

#[test]
fn an_append_that_left_rows_out_says_so_again_and_adds_nothing() {
    let (db, project) = (Db::new(), project("  - {table: t, file: t.csv, mode: append}\n"));
    db.sql("create table t (i int)");
    project.write("t.csv", "i\n1\nx\n");
    let seed = |more: &[&'static str]| {
        Mlops::new(project.path()).args(["seed"].into_iter().chain(more.iter().copied())).env("DATABASE_URL", &db.url()).run()
    };
    seed(&["--max-bad-rows", "1"]).expect(0).says("rejects/t---t.csv.csv");
    seed(&["--max-bad-rows", "1"]).expect(0).says("unchanged since the last load, which left 1 bad row out");
    seed(&[]).expect(1).says("which left 1 bad row out");
    assert_eq!(db.sql("select count(*) from t"), "1");
}

#[test]
fn replacing_a_parent_takes_nobody_elses_rows() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv}\n  - {table: b, file: b.csv, mode: append}\n"));
    db.sql("create table a (id int primary key, name text); create table b (id int, a int references a on delete cascade); create table kin () inherits (a)");
    run(&project, &db).expect(0);
    db.sql("insert into kin values (50, 'kin')");
    project.write("a.csv", "id,name\n1,uno\n");
    run(&project, &db).expect(1).says("b refers to a with `on delete cascade`: replacing a would change its rows");
    assert_eq!(db.sql("select (select count(*) from only a), (select count(*) from b)"), "2|1");
    db.sql("drop table b");
    project.write("mlops.yml", &self::project("  - {table: a, file: a.csv}\n").read("mlops.yml"));
    run(&project, &db).expect(0);
    assert_eq!(db.sql("select string_agg(name, ',' order by id) from a"), "uno,kin");
}

#[test]
fn what_was_there_already_and_is_gone_is_loaded_again() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv, mode: upsert}\n"));
    db.sql("create table a (id int primary key, name text); insert into a values (1, 'one'), (2, 'two, \"too\"')");
    run(&project, &db).expect(0);
    db.sql("truncate a");
    run(&project, &db).expect(0).says("2 rows from a.csv");
}

#[test]
fn equal_is_not_the_same_to_an_upsert() {
    let (db, project) = (Db::new(), project("  - {table: u, file: u.csv, mode: upsert}\n"));
    db.sql("create table u (id int primary key, i interval, n numeric, p json[]); insert into u values (1, '1 month', 1.0, null)");
    project.write("u.csv", "id,i,n,p\n1,30 days,1.00,\"{\"\"1\"\"}\"\n");
    run(&project, &db).expect(0);
    assert_eq!(db.sql("select i, n, p from u"), "30 days|1.00|{1}");
}

#[test]
fn one_table_under_two_names_is_told() {
    let (db, project) = (Db::new(), project("  - {table: a, file: a.csv}\n  - {table: public.a, file: a.csv}\n"));
    db.sql(TABLES);
    run(&project, &db).expect(1).says("a and public.a are one table").says("nothing was loaded");
}

#[test]
fn what_is_checked_at_the_end_is_checked_before_the_first_part_is_kept() {
    let (db, project) = (Db::new(), project("  - {table: d, file: d.csv, connections: 4}\n"));
    db.sql("create table p (id int primary key); create table d (a int references p deferrable initially deferred, b text)");
    let rows: String = (0..40_000).map(|i| format!(",text number {i} of a file that is longer than a message\n")).collect();
    project.write("d.csv", &format!("a,b\n{rows}7,bad\n"));
    run(&project, &db).expect(1).says("is not present in table \"p\"");
    assert_eq!(db.sql("select count(*) from d"), "0");
}

#[test]
fn what_the_server_refuses_before_the_first_row_is_said_in_its_words() {
    let (db, project) = (Db::new(), project("  - {table: g, file: a.csv}\n"));
    db.sql("create table g (id int, name text generated always as ('x') stored)");
    run(&project, &db).expect(1).says("column \"name\" is a generated column");
}
