use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project};
use crate::support::server::Db;

const CONFIG: &str = "version: 1\nproject: p\ndatabase: {url: \"${DATABASE_URL}\"}\nmigrate: {dir: m}\n";

fn command(project: &Project, db: &Db, args: &[&'static str]) -> Mlops {
    Mlops::new(project.path()).args(args.iter().copied()).env("DATABASE_URL", &db.url())
}

fn spawn(project: &Project, db: &Db) -> Child {
    command(project, db, &["migrate", "up"]).command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
}

/// Fifty migrations; every fifth builds an index concurrently.
fn mixed() -> Project {
    let project = project::with(&[("mlops.yml", CONFIG)]);
    for i in 1..=50 {
        let (up, down) = match i % 5 {
            0 => (
                format!("-- mlops: no-transaction\ncreate index concurrently i{i} on t{} (id);\ninsert into t{} values ({i});\n", i - 1, i - 1),
                format!("-- mlops: no-transaction\ndrop index concurrently i{i};\ndelete from t{} where id = {i};\n", i - 1),
            ),
            _ => (format!("create table t{i} (id int);\ninsert into t{i} select generate_series(1, 2000);\n"), format!("drop table t{i};\n")),
        };
        project.write(&format!("m/{i:04}_x.up.sql"), &up);
        project.write(&format!("m/{i:04}_x.down.sql"), &down);
    }
    project
}

fn is_right(db: &Db) {
    assert_eq!(db.sql("select count(*), count(distinct version) from mlops.migration where source = 'app'"), "50|50");
    assert_eq!(db.sql("select count(*) from pg_class where relkind = 'r' and relname ~ '^t[0-9]+$'"), "40");
    assert_eq!(
        db.sql("select count(*), bool_and(indisvalid) from pg_index i join pg_class c on c.oid = i.indexrelid where c.relname ~ '^i[0-9]+$'"),
        "10|t"
    );
    // Nothing ran twice: 2000 rows, and one more where an index was built.
    for i in [3, 4, 9, 49] {
        let rows = if i % 5 == 4 { "2001" } else { "2000" };
        assert_eq!(db.sql(&format!("select count(*) from t{i}")), rows, "t{i}");
    }
}

#[test]
fn twelve_rounds_of_four_runs_at_once_apply_everything_once() {
    let project = mixed();
    for round in 0..12 {
        let db = Db::new();
        let children: Vec<Child> = (0..4).map(|_| spawn(&project, &db)).collect();
        for child in children {
            let ended = Ended::from(child.wait_with_output().expect("ends"));
            assert_eq!(ended.code, 0, "round {round}\n{}{}", ended.out, ended.err);
        }
        is_right(&db);
    }
}

/// Moments that differ from run to run of the test too.
fn moments(n: u32) -> impl Iterator<Item = Duration> {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("time").subsec_nanos();
    (0..n).map(move |i| Duration::from_micros(u64::from((seed / 1000).wrapping_mul(31).wrapping_add(i.wrapping_mul(7919)) % 350_000)))
}

#[test]
fn runs_that_are_killed_or_cut_off_leave_nothing_to_mend() {
    let (project, mut cut) = (mixed(), 0);
    for (i, moment) in moments(100).enumerate() {
        let db = Db::new();
        let mut child = spawn(&project, &db);
        std::thread::sleep(moment);
        if i % 2 == 0 {
            child.kill().expect("kill -9");
        } else {
            db.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()");
        }
        let first = Ended::from(child.wait_with_output().expect("ends"));
        cut += u32::from(first.code != 0);
        let second = command(&project, &db, &["migrate", "up"]).run();
        assert_eq!(
            second.code, 0,
            "{moment:?} after the start\n--- first {}\n{}{}\n--- second\n{}{}",
            first.code, first.out, first.err, second.out, second.err
        );
        is_right(&db);
    }
    assert!(cut >= 30, "only {cut} of 100 runs were cut off");
}

#[test]
fn where_nothing_can_tell_whether_a_statement_took_effect_the_way_out_is_printed_and_works() {
    for (word, rows) in [("--done", "0"), ("--redo", "1")] {
        let (project, db) = (project::with(&[("mlops.yml", CONFIG)]), Db::new());
        project.write("m/0001_t.up.sql", "create table t (i int);\ncreate procedure p() language sql as $$ insert into t values (1) $$;");
        project.write("m/0002_call.up.sql", "-- mlops: no-transaction\ncall p();\ncreate table after_it (i int);");
        db.sql("create table if not exists t0 (i int)");
        project.write("m/0002_call.up.sql", "-- mlops: no-transaction\ncall p();\nselect 1 / 0;\n");
        command(&project, &db, &["migrate", "up"])
            .run()
            .expect(1)
            .says("statement 2 of 2")
            .says("goes on with this statement")
            .says("0002_call.up.sql:3");
        // As a run leaves it that is killed in the middle of its first statement.
        db.sql("update mlops.migration set started = 1, reached = 0, meaning = null where version = '0002'; truncate t");
        project.write("m/0002_call.up.sql", "-- mlops: no-transaction\ncall p();\ncreate table after_it (i int);");
        let said = command(&project, &db, &["migrate", "up"]).run().expect(1).says("nothing tells whether it took effect");
        assert!(said.out.contains(&format!("mlops migrate repair 0002 {word} 1")), "{}", said.out);
        command(&project, &db, &["migrate", "repair", "0002", word, "1"]).run().expect(0).says("statement 1 of 0002_call");
        command(&project, &db, &["migrate", "up"]).run().expect(0);
        assert!(db.has_table("after_it"));
        assert_eq!(db.sql("select count(*) from t"), rows);
        assert_eq!(db.sql("select count(*) from mlops.migration_event where verb = 'repair'"), "1");
    }
}

#[test]
fn an_index_that_could_not_be_built_is_cleared_away_and_built_when_its_rows_are_mended() {
    let (project, db) = (project::with(&[("mlops.yml", CONFIG)]), Db::new());
    project.write("m/0001_t.up.sql", "create table t (i int);\ninsert into t values (1), (1);");
    project.write("m/0002_u.up.sql", "-- mlops: no-transaction\ncreate unique index concurrently if not exists u on t (i);");
    command(&project, &db, &["migrate", "up"]).run().expect(1).says("could not create unique index").says("statement 1 of 1");
    assert_eq!(db.sql("select count(*) from pg_index where not indisvalid"), "0", "the invalid index is gone");
    command(&project, &db, &["migrate", "status"]).run().expect(0).says("stopped half-way");
    db.sql("delete from t where ctid = '(0,1)'");
    command(&project, &db, &["migrate", "up"]).run().expect(0).says("at version 0002");
    assert_eq!(db.sql("select indisvalid from pg_index where indexrelid = 'u'::regclass"), "t");
}
