//! Histories made by the tools themselves, which `scripts/peers.sh` installs.

use std::process::Command;

use crate::support::bin::{Ended, Mlops, peer};
use crate::support::project::{self, Project};
use crate::support::server::Db;

fn project(files: &[(&str, &str)]) -> Project {
    let project = project::with(files);
    project.write("mlops.yml", "version: 1\nproject: p\ndatabase: {url: \"${DATABASE_URL}\"}\nmigrate: {dir: db}\n");
    project
}

fn mlops<'a>(project: &Project, db: &Db, args: impl IntoIterator<Item = &'a str>) -> Ended {
    let path = format!("{}:{}", peer("alembic/bin").display(), std::env::var("PATH").unwrap_or_default());
    Mlops::new(project.path()).args(["migrate"]).args(args).env("DATABASE_URL", &db.url()).env("PATH", &path).run()
}

/// Runs a tool to its end, in the project.
fn run(project: &Project, program: &str, args: &[&str], db: &Db) {
    let mut command = Command::new(peer(program));
    command.args(args).current_dir(project.path()).env("DATABASE_URL", format!("{}?sslmode=disable", db.url()));
    let output = command.output().expect("starts");
    assert!(output.status.success(), "{program} {args:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

const USERS: &str = "create table users (id bigint primary key, name text not null);";
const EMAIL: &str = "alter table users add column email text; create index users_email on users (email);";

/// What the next migration of everyone is: it needs what was there, and comes back.
fn goes_on(project: &Project, db: &Db, next: &str) {
    project.write(&format!("db/{next}.up.sql"), "create view emails as select email from users;");
    project.write(&format!("db/{next}.down.sql"), "drop view emails;");
    mlops(project, db, ["up"]).expect(0).says(next);
    assert_eq!(db.sql("select count(*) from emails"), "0");
    mlops(project, db, ["drift"]).expect(0);
    mlops(project, db, ["down", "3"]).expect(0);
    assert_eq!(db.sql("select to_regclass('users')"), "");
    mlops(project, db, ["up"]).expect(0);
    assert_eq!(db.sql("select count(*) from mlops.migration where source = 'app'"), "3");
}

#[test]
fn a_history_of_sqlx_goes_on() {
    let db = Db::new();
    let project = project(&[
        ("db/20260101000000_users.up.sql", USERS),
        ("db/20260101000000_users.down.sql", "drop table users;"),
        ("db/20260102000000_email.up.sql", EMAIL),
        ("db/20260102000000_email.down.sql", "alter table users drop column email;"),
    ]);
    run(&project, "sqlx/bin/sqlx", &["migrate", "run", "--source", "db"], &db);
    // Another file than the one that was applied is not taken over; other line ends are no other file.
    project.write("db/20260102000000_email.up.sql", "select 1;");
    mlops(&project, &db, ["import"]).expect(1).says("20260102000000_email.up.sql is not the file that sqlx has applied");
    assert_eq!(db.sql("select count(*) from mlops.migration where source = 'app'"), "0");
    project.write("db/20260102000000_email.up.sql", EMAIL);
    mlops(&project, &db, ["import"]).expect(0).says("20260101000000_users is recorded as applied by sqlx; its checksum agrees");
    mlops(&project, &db, ["import", "sqlx"]).expect(0).says("nothing to do");
    let same = "select bool_and(m.applied_at = s.installed_on and abs(m.elapsed_ms - s.execution_time / 1e6) < 0.001) from mlops.migration m \
                join _sqlx_migrations s on s.version::text = m.version where m.adopted_from = 'sqlx'";
    assert_eq!(db.sql(same), "t");
    goes_on(&project, &db, "20260103000000_emails");
}

#[test]
fn a_history_of_dbmate_goes_on() {
    let db = Db::new();
    let file = |up: &str, down: &str| format!("-- migrate:up\n{up}\n\n-- migrate:down\n{down}\n");
    let project = project(&[
        ("db/20260101000000_users.sql", &file(USERS, "drop table users;")),
        ("db/20260102000000_email.sql", &file(EMAIL, "alter table users drop column email;")),
    ]);
    run(&project, "dbmate/node_modules/.bin/dbmate", &["--migrations-dir", "db", "--no-dump-schema", "up"], &db);
    mlops(&project, &db, ["import"]).expect(0).says("recorded as applied by dbmate (it keeps no checksum to verify)");
    mlops(&project, &db, ["import"]).expect(0).says("nothing to do");
    goes_on(&project, &db, "20260103000000_emails");
}

const INI: &str = "[alembic]\nscript_location = migrations\n";
const ENV: &str = "from alembic import context\nfrom sqlalchemy import create_engine\nimport os\nprint('env.py prints')\n\
url = os.environ['DATABASE_URL'].split('?')[0].replace('postgres://', 'postgresql+psycopg://')\n\
if context.is_offline_mode():\n    context.configure(url=url, literal_binds=True)\n    with context.begin_transaction():\n        context.run_migrations()\n\
else:\n    with create_engine(url).connect() as connection:\n        context.configure(connection=connection)\n        with context.begin_transaction():\n            context.run_migrations()\n";

fn revision(id: &str, parents: &str, doc: &str, up: &str, down: &str) -> String {
    format!(
        "\"\"\"{doc}\"\"\"\nrevision = '{id}'\ndown_revision = {parents}\nfrom alembic import op\nimport sqlalchemy as sa\n\
         def upgrade():\n    {up}\ndef downgrade():\n    {down}\n"
    )
}

/// A project with revisions in Python, and nothing of ours yet.
fn alembic(revisions: &[(&str, &str, &str, &str, &str)]) -> Project {
    let project = project(&[("alembic.ini", INI), ("migrations/env.py", ENV)]);
    for (id, parents, doc, up, down) in revisions {
        project.write(&format!("migrations/versions/{id}.py"), &revision(id, parents, doc, up, down));
    }
    project
}

const CREATE: (&str, &str, &str, &str, &str) = (
    "a1a1",
    "None",
    "create users",
    "op.create_table('users', sa.Column('id', sa.BigInteger, primary_key=True), sa.Column('name', sa.Text, nullable=False))",
    "op.drop_table('users')",
);

#[test]
fn a_history_of_alembic_goes_on_as_sql() {
    let db = Db::new();
    let project = alembic(&[
        CREATE,
        (
            "b2b2",
            "'a1a1'",
            "add email",
            "op.execute('alter table users add column email text'); op.create_index('users_email', 'users', ['email'])",
            "op.drop_column('users', 'email')",
        ),
    ]);
    run(&project, "alembic/bin/alembic", &["upgrade", "head"], &db);
    mlops(&project, &db, ["import"])
        .expect(0)
        .says("db/0001_create_users.up.sql is written")
        .says("0002_add_email is recorded as applied by alembic");
    assert!(project.read("db/0001_create_users.up.sql").starts_with("-- alembic revision a1a1: create users\n\nCREATE TABLE users ("));
    assert!(!project.read("db/0002_add_email.up.sql").contains("alembic_version"));
    mlops(&project, &db, ["import", "alembic"]).expect(0).says("nothing to do");
    goes_on(&project, &db, "0003_emails");
    // The table that Alembic keeps stays as it is.
    assert_eq!(db.sql("select version_num from alembic_version"), "b2b2");
    // From nothing, our files make what its revisions make.
    let fresh = Db::new();
    mlops(&project, &fresh, ["to", "2"]).expect(0);
    let columns = "select string_agg(attname || ' ' || format_type(atttypid, atttypmod) || attnotnull, ', ' order by attnum) from pg_attribute \
                   where attrelid = 'users'::regclass and attnum > 0";
    assert_eq!(fresh.sql(columns), db.sql(columns));
}

#[test]
fn branches_of_alembic_that_meet_again_and_one_that_is_not_applied_yet() {
    let db = Db::new();
    let project = alembic(&[
        CREATE,
        ("b2b2", "'a1a1'", "left", "op.add_column('users', sa.Column('l', sa.Integer))", "op.drop_column('users', 'l')"),
        ("c3c3", "'a1a1'", "right", "op.add_column('users', sa.Column('r', sa.Integer))", "op.drop_column('users', 'r')"),
        ("d4d4", "('b2b2', 'c3c3')", "merge", "pass", "pass"),
    ]);
    run(&project, "alembic/bin/alembic", &["upgrade", "heads"], &db);
    project.write(
        "migrations/versions/e5e5.py",
        &revision(
            "e5e5",
            "'d4d4'",
            "index beside the traffic",
            "exec(\"with op.get_context().autocommit_block(): op.create_index('users_l', 'users', ['l'], postgresql_concurrently=True)\")",
            "op.drop_index('users_l')",
        ),
    );
    mlops(&project, &db, ["import"]).expect(0).says("0004_merge is recorded").says("db/0005_index_beside_the_traffic.up.sql is written");
    assert_eq!(db.sql("select string_agg(version, ',' order by version) from mlops.migration where source = 'app'"), "0001,0002,0003,0004");
    assert!(project.read("db/0005_index_beside_the_traffic.up.sql").contains("-- mlops: no-transaction"));
    mlops(&project, &db, ["up"]).expect(0).says("at version 0005");
    assert_eq!(db.sql("select count(*) from pg_indexes where indexname = 'users_l'"), "1");
    mlops(&project, &db, ["down", "--to", "0"]).expect(0);
}

#[test]
fn what_alembic_cannot_write_as_sql_is_named() {
    let db = Db::new();
    let live = alembic(&[CREATE, ("b2b2", "'a1a1'", "live", "op.get_bind().execute(sa.text('select 1')).fetchall()", "pass")]);
    mlops(&live, &db, ["import", "alembic"]).expect(3).says("revision b2b2 cannot be written as SQL").says("write its statements by hand");
    assert!(!live.has("db"));
    let one_way = alembic(&[CREATE, ("b2b2", "'a1a1'", "no way back", "op.execute('select 1')", "raise NotImplementedError('no')")]);
    mlops(&one_way, &db, ["import", "alembic"]).says("not every revision can be undone as SQL").says("NotImplementedError: no");
    assert!(one_way.has("db/0002_no_way_back.up.sql") && !one_way.has("db/0002_no_way_back.down.sql"));
    // A revision that no file knows.
    db.sql("create table alembic_version (version_num varchar(32) primary key); insert into alembic_version values ('ffff')");
    mlops(&one_way, &db, ["import", "alembic"]).expect(1).says("the database is at revision ffff, which no file was made from");
}

/// The tables as these tools document them; their programs cannot be installed from a package registry.
#[test]
fn histories_of_golang_migrate_goose_and_flyway() {
    let files = [
        ("db/1_users.up.sql", USERS),
        ("db/1_users.down.sql", "drop table users;"),
        ("db/2_email.up.sql", EMAIL),
        ("db/2_email.down.sql", "alter table users drop column email;"),
    ];
    let schema = format!("{USERS} {EMAIL}");
    let golang =
        "create table schema_migrations (version bigint primary key, dirty boolean not null); insert into schema_migrations values (2, false)";
    let goose = "create table goose_db_version (id serial primary key, version_id bigint not null, is_applied boolean not null, tstamp timestamp default now()); \
                 insert into goose_db_version (version_id, is_applied) values (0, true), (1, true), (2, true), (2, false), (2, true)";
    for (tool, history) in [("golang-migrate", golang), ("goose", goose)] {
        let db = Db::new();
        db.sql(&format!("{schema} {history}"));
        let project = project(&files);
        mlops(&project, &db, ["import"]).expect(0).says(&format!("2_email is recorded as applied by {tool}"));
        goes_on(&project, &db, "3_emails");
    }
    let db = Db::new();
    db.sql(&format!("{schema} {}", golang.replace("false", "true")));
    mlops(&project(&files), &db, ["import"]).expect(1).says("golang-migrate stopped half-way in version 2 (dirty)");
    let flyway = "create table flyway_schema_history (installed_rank int primary key, version varchar(50), description varchar(200) not null, type varchar(20) not null, \
                  script varchar(1000) not null, checksum int, installed_by varchar(100) not null, installed_on timestamp not null default now(), \
                  execution_time int not null, success boolean not null);";
    let sum = |text: &str| crc32fast::hash(text.replace('\n', "").as_bytes()).cast_signed();
    let rows = format!(
        "insert into flyway_schema_history values (1, '1', 'users', 'SQL', 'V1__users.sql', {}, 'joe', now(), 12, true), (2, '2', 'email', 'SQL', 'V2__email.sql', {}, 'joe', now(), 3, true)",
        sum(USERS),
        sum(EMAIL)
    );
    let db = Db::new();
    db.sql(&format!("{schema} {flyway} {rows}"));
    let project =
        project(&[("db/V1__users.sql", USERS), ("db/V2__email.sql", EMAIL), ("db/V3__view.sql", "create view emails as select email from users;")]);
    mlops(&project, &db, ["import"]).expect(0).says("2_email is recorded as applied by flyway; its checksum agrees");
    assert_eq!(db.sql("select applied_by, elapsed_ms from mlops.migration where version = '1' and source = 'app'"), "joe|12");
    mlops(&project, &db, ["up"]).expect(0).says("V3__view.sql");
}

#[test]
fn revisions_that_end_the_program_or_say_per_cent_or_commit_one_by_one() {
    let db = Db::new();
    let leaves = alembic(&[CREATE, ("b2b2", "'a1a1'", "leaves", "__import__('sys').exit(0)", "pass")]);
    mlops(&leaves, &db, ["import", "alembic"]).expect(3).says("revision b2b2 cannot be written as SQL: SystemExit");
    let project = alembic(&[
        CREATE,
        (
            "b2b2",
            "'a1a1'",
            "share",
            "op.execute(\"insert into users values (1, '50%')\"); op.execute('-- nothing')",
            "op.execute('delete from users')",
        ),
        ("c3c3", "'b2b2'", "only a note", "op.execute('-- later')", "pass"),
    ]);
    project.replace("migrations/env.py", "literal_binds=True", "literal_binds=True, transaction_per_migration=True");
    run(&project, "alembic/bin/alembic", &["upgrade", "head"], &db);
    mlops(&project, &db, ["import", "alembic"]).expect(0).says("0003_only_a_note is recorded");
    assert!(!project.read("db/0002_share.up.sql").contains("no-transaction"));
    let fresh = Db::new();
    mlops(&project, &fresh, ["up"]).expect(0);
    assert_eq!((fresh.sql("select name from users"), db.sql("select name from users")), ("50%".into(), "50%".into()));
    mlops(&project, &fresh, ["down", "--to", "0"]).expect(0);
}

#[test]
fn a_foreign_table_that_holds_something_else_is_told() {
    let files = [("db/1_users.up.sql", USERS), ("db/2_email.up.sql", EMAIL)];
    for (history, said) in [
        (
            "create table schema_migrations (version bigint, dirty text); insert into schema_migrations values (1, 'no')",
            "holds something else than expected",
        ),
        (
            "create table schema_migrations (version bigint, dirty bool); insert into schema_migrations values (1, false), (2, true)",
            "keeps one row, and there are more",
        ),
        ("create table schema_migrations (version varchar); insert into schema_migrations values (null)", "holds something else than expected"),
        ("create table schema_migrations (version varchar); insert into schema_migrations values ('1'), ('01')", "twice"),
        (
            "create table _sqlx_migrations (version bigint, success bool, installed_on timestamptz, checksum bytea, execution_time bigint); insert into _sqlx_migrations values (1, null)",
            "holds something else",
        ),
    ] {
        let db = Db::new();
        db.sql(history);
        mlops(&project(&files), &db, ["import"]).expect(1).says(said);
    }
    let db = Db::new();
    db.sql(&format!("{USERS} create table flyway_schema_history (installed_rank int, version varchar, description varchar, type varchar, checksum int, installed_by varchar, installed_on timestamp default now(), execution_time int, success bool); insert into flyway_schema_history (installed_rank, version, description, type, installed_by, execution_time, success) values (1, '1', 'base', 'BASELINE', 'joe', 0, true)"));
    let project = project(&[("db/V0__before.sql", "select 1;"), ("db/V1__users.sql", USERS), ("db/V2__email.sql", EMAIL)]);
    mlops(&project, &db, ["import"]).expect(0).says("0_before is recorded").says("1_users is recorded");
    mlops(&project, &db, ["up"]).expect(0).says("V2__email.sql");
}

#[test]
fn no_history_or_more_than_one_or_a_missing_file_is_told() {
    let db = Db::new();
    let project = project(&[("db/1_users.up.sql", USERS)]);
    mlops(&project, &db, ["import"]).expect(1).says("there is no history of another tool");
    mlops(&project, &db, ["import", "dbmte"]).expect(2).says("did you mean `dbmate`?");
    db.sql("create table schema_migrations (version varchar primary key); insert into schema_migrations values ('1'), ('7')");
    mlops(&project, &db, ["import"]).expect(1).says("dbmate has applied version 7, and there is no file for it");
    assert_eq!(db.sql("select count(*) from mlops.migration where source = 'app'"), "0");
    db.sql("create table alembic_version (version_num varchar(32))");
    mlops(&project, &db, ["import"]).expect(1).says("there is more than one history: alembic (alembic_version), dbmate (schema_migrations)");
}
