//! Versions of datasets: every type there and back, the same bytes, DVC both ways, kills, lineage.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value as Json, json};

use crate::support::bin::{Ended, Mlops, peer};
use crate::support::project::{self, Project};
use crate::support::root;
use crate::support::server::{Db, files_below};

fn config(datasets: &str) -> String {
    format!("version: 1\nproject: p\ndatabase: {{url: \"${{DATABASE_URL}}\", pool: 2}}\ndatasets:\n{datasets}")
}

fn project(datasets: &str) -> Project {
    project::with(&[("mlops.yml", &config(datasets))])
}

fn data(project: &Project, db: &Db, args: &[&str]) -> Ended {
    Mlops::new(project.path()).args(["data"]).args(args.iter().copied()).env("DATABASE_URL", &db.url()).run()
}

/// Runs another program to its end, in a folder.
#[track_caller]
fn tool(folder: &Path, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> String {
    let path = format!("{}:{}", peer("dvc/bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).env("PATH", path).env("DVC_NO_ANALYTICS", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "t").env(format!("GIT_{who}_EMAIL"), "t@example.com");
    }
    let output = command.output().expect("starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

fn dvc(project: &Project, args: &[&str]) -> String {
    tool(project.path(), peer("dvc/bin/dvc"), args)
}

fn git(project: &Project, args: &[&str]) -> String {
    tool(project.path(), "git", args)
}

fn repository(project: &Project) {
    git(project, &["init", "-q"]);
    dvc(project, &["init", "-q"]);
    commit(project, "start");
}

fn commit(project: &Project, message: &str) {
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "-m", message]);
}

/// Rows of one table that the other does not have, both ways.
fn different(db: &Db, one: &str, other: &str) -> String {
    let except = |a: &str, b: &str| {
        format!("select count(*) from (select row_of_one::text from {a} row_of_one except all select row_of_other::text from {b} row_of_other) d")
    };
    format!("{} {}", db.sql(&except(one, other)), db.sql(&except(other, one)))
}

#[test]
fn every_type_goes_there_and_back_by_parquet_and_by_csv() {
    let db = Db::new();
    db.sql(&std::fs::read_to_string(root().join("fixtures/types.sql")).expect("types"));
    db.sql("create table ty.back (like ty.everything including all)");
    let project = project(
        "  everything: {table: ty.everything, order_by: [id], out: everything.parquet}\n  csv: {table: ty.everything, order_by: [id], out: everything.csv}\n  \
         arrow: {table: ty.everything, order_by: [id], out: everything.arrow}\n",
    );
    let ended = data(&project, &db, &["export"]).expect(0);
    ended.says("`iv` is kept as text: interval").says("`nu` is kept as text: numeric without a precision");
    data(&project, &db, &["verify", "--live"]).expect(0).says("the database holds the same 6 rows");
    for name in ["everything", "csv"] {
        db.sql("truncate ty.back");
        data(&project, &db, &["load", name, "--table", "ty.back"]).expect(0).says("6 rows loaded");
        assert_eq!(different(&db, "ty.everything", "ty.back"), "0 0", "{name}");
    }
}

/// What each kind is written as for `readers.py`, in SQL.
fn canonical(kind: &str, value: &str) -> String {
    let ends = |number: &str, most: &str| {
        format!("case {value} when 'infinity' then '{most}' when '-infinity' then '-{most}' else ({number})::numeric(30)::text end")
    };
    match kind {
        "f4" => format!("encode(float4send({value}), 'hex')"),
        "f8" => format!("encode(float8send({value}), 'hex')"),
        "text" => format!("encode(convert_to({value}::text, 'UTF8'), 'hex')"),
        // The cast to text would drop the blanks that belong to it.
        "char" => format!("encode(bpcharsend({value}), 'hex')"),
        "bytes" => format!("encode({value}, 'hex')"),
        "uuid" => format!("replace({value}::text, '-', '')"),
        "date" => ends(&format!("{value} - date '1970-01-01'"), "2147483647"),
        "ts" => ends(&format!("extract(epoch from {value}) * 1000000"), "9223372036854775807"),
        "time" => format!("(extract(epoch from {value}) * 1000000)::numeric(30)::text"),
        _ => format!("{value}::text"),
    }
}

#[test]
fn pandas_polars_and_duckdb_read_what_the_server_says() {
    let db = Db::new();
    db.sql(&std::fs::read_to_string(root().join("fixtures/types.sql")).expect("types"));
    // Polars has no 24:00: it reads NULL.
    db.sql("update ty.everything set ti = '23:59:59.999999' where ti = '24:00'");
    let kinds = [
        ("id", "int"),
        ("i2", "int"),
        ("i4", "int"),
        ("i8", "int"),
        ("f4", "f4"),
        ("f8", "f8"),
        ("nd", "dec"),
        ("n38", "dec"),
        ("t", "text"),
        ("vc", "text"),
        ("ch", "char"),
        ("ba", "bytes"),
        ("bo", "bool"),
        ("da", "date"),
        ("ti", "time"),
        ("ts", "ts"),
        ("tstz", "ts"),
        ("u", "uuid"),
        ("j", "text"),
        ("jb", "text"),
        ("m", "text"),
        ("dm", "dec"),
        ("dc", "text"),
        ("o", "int"),
        ("ai", "list:int"),
        ("at", "list:text"),
        ("ad", "list:ts"),
        ("au", "list:uuid"),
        ("ab", "list:bytes"),
        ("af", "list:f8"),
        ("anu", "list:dec"),
    ];
    let column = |(name, kind): &(&str, &str)| match kind.strip_prefix("list:") {
        None => format!("'{name}', {}", canonical(kind, name)),
        Some(kind) => format!(
            "'{name}', case when {name} is not null then (select coalesce(json_agg({} order by n), '[]') from unnest({name}) with ordinality u(v, n)) end",
            canonical(kind, "v")
        ),
    };
    let parts: Vec<String> =
        kinds.chunks(30).map(|part| format!("jsonb_build_object({})", part.iter().map(column).collect::<Vec<_>>().join(", "))).collect();
    let rows = db.sql(&format!("set timezone = 'UTC'; select jsonb_agg({} order by id) from ty.everything", parts.join(" || ")));
    let rows: Json = serde_json::from_str(&rows).expect("rows");
    let kinds: Json = kinds.iter().map(|(name, kind)| ((*name).to_owned(), json!(kind))).collect::<serde_json::Map<_, _>>().into();
    let project = project("  everything: {table: ty.everything, order_by: [id], out: everything.parquet}\n");
    project.write("expected.json", &json!({"kinds": kinds, "rows": rows}).to_string());
    data(&project, &db, &["export"]).expect(0);
    let script = root().join("tests/golden/readers.py").display().to_string();
    let said = tool(project.path(), peer("readers/bin/python"), &[&script, "everything.parquet", "expected.json"]);
    assert!(said.contains("31 columns of 6 rows are equal"), "{said}");
}

/// A table of random columns and rows.
fn random_table(random: &mut rand_chacha::ChaCha8Rng, name: &str) -> String {
    let kinds = [
        ("int8", "(random() * 1e18)::int8 * (case when random() < 0.5 then -1 else 1 end)"),
        ("int2", "(random() * 60000 - 30000)::int2"),
        ("float8", "(array['NaN', 'Infinity', '-Infinity', '-0', '0.1'])[1 + (random() * 4)::int]::float8 + random()"),
        ("float4", "random()::float4 * 1e30"),
        ("numeric(20,7)", "(random() * 1e12)::numeric(20,7) - 5e11"),
        ("numeric(9,0)", "(random() * 1e8)::numeric(9)"),
        ("numeric", "(random() * 1e15)::numeric / 7"),
        ("text", "(array['', 'NULL', E'a\\nb', E'\\t\\\\', '\"q\", x', 'ä€😀', md5(random()::text)])[1 + (random() * 6)::int]"),
        ("bytea", "decode(md5(random()::text), 'hex')"),
        ("boolean", "random() < 0.5"),
        ("date", "date '4713-01-01 BC' + (random() * 4000000)::int"),
        ("time", "time '00:00' + random() * interval '23 hours'"),
        ("timestamp", "timestamp '0001-01-01 BC' + random() * interval '9000 years'"),
        ("timestamptz", "timestamptz '1600-01-01' + random() * interval '900 years'"),
        ("interval", "random() * interval '1000 days' - interval '3 months'"),
        ("uuid", "md5(random()::text)::uuid"),
        ("jsonb", "jsonb_build_object('a', random(), 'b', array[null, 'x'])"),
        ("json", "'{\"z\" : [1, {\"y\": null}]}'::json"),
        ("int4[]", "array[1, null, (random() * 100)::int]"),
        ("text[]", "array['a,b', '\"', null, '', md5(random()::text)]"),
        ("timestamptz[]", "array['infinity', now() * 1, null]::timestamptz[]"),
        ("inet", "'10.0.0.1/8'::inet + (random() * 1000)::int"),
    ];
    let columns = random.random_range(1..=14);
    let chosen: Vec<usize> = (0..columns).map(|_| random.random_range(0..kinds.len())).collect();
    let rows = [1, 3, 400, 20_000][random.random_range(0..4)];
    let definition: Vec<String> = chosen.iter().enumerate().map(|(i, k)| format!("\"c {i}\" {}", kinds[*k].0)).collect();
    let value = |k: &usize| format!("case when random() < 0.15 then null else {} end", kinds[*k].1.replace("now() * 1", "now()"));
    let values: Vec<String> = chosen.iter().map(value).collect();
    format!(
        "create table {name} (id int primary key, {}); insert into {name} select i, {} from generate_series(1, {rows}) i order by md5(i::text)",
        definition.join(", "),
        values.join(", ")
    )
}

#[test]
fn random_tables_go_there_and_back() {
    let db = Db::new();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(20_261_125);
    let project = project("  t: {table: t, order_by: [id], out: t.parquet}\n");
    for round in 0..25 {
        db.sql("drop table if exists t, back");
        let table = random_table(&mut random, "t");
        db.sql(&table);
        db.sql("create table back (like t including all)");
        data(&project, &db, &["export"]).expect(0);
        data(&project, &db, &["verify", "--live"]).expect(0);
        data(&project, &db, &["load", "t", "--table", "back"]).expect(0);
        assert_eq!(different(&db, "t", "back"), "0 0", "round {round}: {table}");
    }
}

#[test]
fn two_servers_filled_in_another_order_give_the_same_bytes() {
    let rows = |order: &str| format!("insert into t select i, md5(i::text), i % 7, i * 0.1 from generate_series(1, 150000) i order by {order};");
    let export = |order: &str, more: &str| {
        let config = config("  t: {table: t, order_by: [id], out: t.parquet}\n")
            .replace("${DATABASE_URL}", "")
            .replace("datasets:", "migrate: {dir: m}\ndatasets:");
        let project = project::with(&[("mlops.yml", &config)]);
        // Without a URL each run has a server of its own.
        project.write("m/0001_t.up.sql", &format!("create table t (id int primary key, name text, kind int, size float8);\n{}\n{more}", rows(order)));
        let ended =
            Mlops::new(project.path()).args(["run", "--stages", "migrate,snapshot", "--comment", "never"]).env("HOME", "/nowhere").run().expect(0);
        let bytes = std::fs::read(project.path().join("t.parquet")).expect("file");
        let content = project.read("t.parquet.dvc").lines().find(|line| line.contains("content:")).expect("content").to_owned();
        drop(ended);
        (bytes, content)
    };
    let one = export("i", "");
    let other = export(
        "md5(i::text)",
        "update t set kind = kind where id % 3 = 0;\ndelete from t where id = 5;\ninsert into t values (5, md5('5'), 5, 0.5);",
    );
    assert!(one.0 == other.0, "{} and {} bytes differ", one.0.len(), other.0.len());
    assert_eq!(one.1, other.1);
    let changed = export("i", "update t set kind = 99 where id = 77;");
    assert!(changed.0 != one.0 && changed.1 != one.1);
}

#[test]
fn parts_read_by_several_connections_are_the_whole() {
    let db = Db::new();
    db.sql("create table t (id bigint primary key, pad text); insert into t select i * 3 - 200000, repeat('x', 700) from generate_series(1, 200000) i order by md5(i::text); \
            delete from t where id % 5 = 0; analyze t");
    assert!(db.sql("select pg_relation_size('t') > 12 * 8 * 1024 * 1024") == "t");
    let project = project(
        "  heap: {table: t, out: heap.parquet}\n  keys: {table: t, order_by: [id], out: keys.parquet}\n  whole: {query: q.sql, order_by: [id], out: whole.parquet}\n",
    );
    project.write("q.sql", "select * from t");
    data(&project, &db, &["export"]).expect(0);
    data(&project, &db, &["verify", "--live"]).expect(0);
    let bytes = |name: &str| std::fs::read(project.path().join(name)).expect("file");
    assert!(bytes("keys.parquet") == bytes("whole.parquet"), "ranges of the key and one query");
    let ended = data(&project, &db, &["diff", "heap.parquet", "keys.parquet", "--key", "id", "--format", "json"]).expect(0);
    let diff = &ended.json()["diff"];
    assert_eq!((diff["rows"][0].as_u64(), diff["keys"]["changed"]["count"].as_u64()), (Some(160_000), Some(0)), "{diff:#}");
    assert_eq!((&diff["keys"]["added"]["count"], &diff["keys"]["removed"]["count"]), (&json!(0), &json!(0)));
}

#[test]
fn what_cannot_be_kept_is_said_and_nothing_is_written() {
    let db = Db::new();
    db.sql("create table t (id int, n numeric(5,2), a int[], b int[]); insert into t values (1, 'NaN', '{{1}}', '[0:1]={1,2}')");
    let project = project("  t: {table: t, order_by: [id], out: t.parquet}\n");
    let refused = |setting: &str, code: i32, said: &str| {
        project.write("mlops.yml", &config(&format!("  t: {{table: t, out: t.parquet, {setting}}}\n")));
        data(&project, &db, &["export"]).expect(code).says(said);
        assert_eq!(files_below(project.path()).len(), 1, "{setting}");
    };
    refused("order_by: [ids]", 1, "`order_by` names a column `ids` that the query does not give; did you mean `id`?");
    refused("order_by: [id]", 3, "column `n`: it holds NaN, which a decimal cannot: name the column under `as_text`");
    refused("order_by: [id], as_text: [n]", 3, "column `a`: an array has 2 dimensions where 1 are declared");
    refused("order_by: [id], as_text: [n, a]", 3, "column `b`: an array does not begin at 1");
    project.write("mlops.yml", &config("  t: {table: t, out: t.parquet, order_by: [id], as_text: [n, a, b]}\n"));
    data(&project, &db, &["export"]).expect(0);
    db.sql("create table back (like t)");
    data(&project, &db, &["load", "t", "--table", "back"]).expect(0);
    assert_eq!(different(&db, "t", "back"), "0 0");
}

#[test]
fn the_real_dvc_goes_on_with_files_and_folders() {
    let db = Db::new();
    db.sql("create table t (id int primary key, country text, x float8); insert into t select i, (array['DE', 'a/b', 'é', null, ''])[1 + i % 5], i * 0.5 from generate_series(1, 1000) i");
    let project = project(
        "  file: {table: t, order_by: [id], out: data/file.parquet}\n  folder: {table: t, partition_by: [country], order_by: [id], out: data/parts}\n",
    );
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    commit(&project, "one");
    for said in [dvc(&project, &["status"]), dvc(&project, &["data", "status"])] {
        assert!(said.contains("up to date") || said.contains("No changes"), "{said}");
    }
    let store = tempfile::tempdir().expect("store");
    dvc(&project, &["remote", "add", "-d", "store", &store.path().display().to_string()]);
    data(&project, &db, &["push"]).expect(0);
    assert!(dvc(&project, &["push"]).contains("Everything is up to date"), "dvc has something left to push");
    assert!(dvc(&project, &["status", "-c"]).contains("in sync"));
    commit(&project, "remote");
    // Another machine: pointers and the remote alone.
    let clone = project::with(&[]);
    git(&clone, &["clone", "-q", &project.path().display().to_string(), "c"]);
    let there = clone.path().join("c");
    tool(&there, peer("dvc/bin/dvc"), &["pull", "-q"]);
    let inside = |folder: &Path| -> Vec<_> {
        files_below(folder).into_iter().map(|(path, bytes)| (path.strip_prefix(folder).expect("inside").to_owned(), bytes)).collect()
    };
    assert!(inside(&there.join("data/parts")) == inside(&project.path().join("data/parts")), "the folder is another one");
    let script = "import dvc.api, sys; sys.stdout.write(str(len(dvc.api.read('data/file.parquet', mode='rb'))))";
    let size = tool(&there, peer("dvc/bin/python"), &["-c", script]);
    assert_eq!(size.trim(), std::fs::metadata(project.path().join("data/file.parquet")).expect("file").len().to_string());
    tool(&there, peer("dvc/bin/dvc"), &["get", "-q", ".", "data/parts", "-o", "got"]);
    // And back: what DVC fetches, we fetch.
    std::fs::remove_dir_all(there.join("data/parts")).expect("folder");
    std::fs::remove_dir_all(there.join(".dvc/cache")).expect("cache");
    let pull = Mlops::new(&there).args(["data", "pull"]).env("DATABASE_URL", &db.url()).run().expect(0);
    pull.says("data/parts is back in its place");
    assert!(tool(&there, peer("dvc/bin/dvc"), &["status"]).contains("up to date"));
    let read = format!("select count(*), count(country) from read_parquet('{}/data/parts/**/*.parquet', hive_partitioning = true)", there.display());
    let counted = tool(&there, peer("readers/bin/python"), &["-c", &format!("import duckdb; print(duckdb.sql(\"{read}\").fetchone())")]);
    assert_eq!(counted.trim(), "(1000, 800)");
}

#[test]
fn what_dvc_wrote_is_read() {
    let db = Db::new();
    db.sql("create table t (id int primary key); insert into t values (1)");
    let project = project("  file: {table: t, order_by: [id], out: data/file.parquet}\n  folder: {table: t, partition_by: [id], out: data/parts}\n");
    // The folder's columns are another matter: it is only looked at here.
    repository(&project);
    project.write("data/parts/a/x.bin", "one");
    project.write("data/parts/é-b.bin", "two");
    project.write("data/file.parquet", "not really");
    dvc(&project, &["add", "-q", "data/parts", "data/file.parquet"]);
    commit(&project, "theirs");
    data(&project, &db, &["verify"]).expect(0).says("data/parts is what its pointer says").says("data/file.parquet is what its pointer says");
    project.write("data/parts/a/x.bin", "changed");
    data(&project, &db, &["verify", "folder"]).expect(1).says("is not what its pointer says");
    data(&project, &db, &["load", "folder", "--force"]).expect(0);
    data(&project, &db, &["verify", "folder"]).expect(0);
    assert_eq!(project.read("data/parts/a/x.bin"), "one");
    let pointer = project.read("data/file.parquet.dvc");
    project.write("data/file.parquet.dvc", &format!("{pointer}  desc: by hand\n  labels: [a]\nmeta: {{team: red}}\n"));
    data(&project, &db, &["export", "file"]).expect(0);
    let now = project.read("data/file.parquet.dvc");
    assert!(now.contains("desc: by hand") && now.contains("team: red") && now.contains("rows: 1"), "{now}");
    assert!(dvc(&project, &["status", "data/file.parquet.dvc"]).contains("up to date"));
}

#[test]
fn nothing_that_no_version_has_is_overwritten() {
    let db = Db::new();
    db.sql("create table t (id int primary key, country text); insert into t values (1, 'DE'), (2, null)");
    let project = project(
        "  file: {table: t, order_by: [id], out: data/file.parquet}\n  folder: {table: t, partition_by: [country], order_by: [id], out: data/parts}\n",
    );
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    commit(&project, "one");
    db.sql("insert into t values (3, 'FR')");
    data(&project, &db, &["export"]).expect(0);
    commit(&project, "two");
    project.write("data/parts/mine.txt", "mine");
    project.write("data/file.parquet", "mine");
    for args in [
        &["pull", "folder"][..],
        &["load", "folder"],
        &["rollback", "folder", "--to", "HEAD~1"],
        &["load", "file"],
        &["load", "file", "--at", "HEAD~1"],
    ] {
        data(&project, &db, args).expect(3).says("data that no version has");
    }
    assert_eq!((project.read("data/parts/mine.txt"), project.read("data/file.parquet")), ("mine".into(), "mine".into()));
    for to in ["mlops.yml", "data", ".git", "data/file.parquet.dvc"] {
        data(&project, &db, &["load", "folder", "--to", to]).expect(3).says("is there already, and is something else");
    }
    data(&project, &db, &["load", "folder", "--at", "HEAD~1", "--to", "old"]).expect(0);
    data(&project, &db, &["load", "folder", "--at", "HEAD~1", "--to", "old"]).expect(0).says("is there already");
    data(&project, &db, &["load", "folder", "--force"]).expect(0);
    assert!(!project.has("data/parts/mine.txt"));
    data(&project, &db, &["rollback", "folder", "--to", "HEAD~1"]).expect(0);
    data(&project, &db, &["verify", "folder"]).expect(0);
}

#[test]
fn rows_come_back_whatever_the_table_holds_by_then() {
    let db = Db::new();
    db.sql("create table t (id int primary key, x int); insert into t select i, i from generate_series(1, 10) i");
    let project = project("  t: {table: t, order_by: [id], out: t.parquet}\n");
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    commit(&project, "one");
    for _ in 0..2 {
        db.sql("update t set x = -1");
        data(&project, &db, &["rollback", "t", "--to", "HEAD", "--table", "t"]).expect(0).says("10 rows loaded into t");
        assert_eq!(db.sql("select sum(x) from t"), "55");
    }
    data(&project, &db, &["verify", "--live"]).expect(0);
}

#[test]
fn what_is_said_about_a_version_is_said_about_its_bytes() {
    let db = Db::new();
    db.sql("create table t (id int primary key, n int, y int); insert into t values (1, 2, 3)");
    let project = project("  t: {table: t, order_by: [id], out: t.parquet}\n");
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    let pointer = project.read("t.parquet.dvc");
    project.write("t.parquet.dvc", &pointer.replace("  meta:\n", "  desc: on\n  meta:\n    owner: me\n"));
    // DVC writes its own YAML, in which `n` needs no quotes.
    dvc(&project, &["add", "-q", "t.parquet"]);
    data(&project, &db, &["verify", "--live"]).expect(0);
    db.sql("update t set n = 5");
    data(&project, &db, &["export"]).expect(0);
    let pointer = project.read("t.parquet.dvc");
    assert!(pointer.contains("owner: me") && !pointer.contains("desc: true"), "{pointer}");
    project.write("t.parquet", "another file");
    dvc(&project, &["add", "-q", "t.parquet"]);
    data(&project, &db, &["verify", "--live"]).expect(3).says("its pointer says nothing about its rows");
}

#[test]
fn a_damaged_object_is_found_and_mended() {
    let db = Db::new();
    db.sql("create table t (id int primary key); insert into t values (1)");
    let project = project("  t: {table: t, order_by: [id], out: t.parquet}\n");
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    let objects = files_below(&project.path().join(".dvc/cache"));
    let (object, whole) = objects.first().expect("object");
    let damage = || {
        std::fs::remove_file(object).expect("remove");
        std::fs::write(object, "damaged").expect("write");
        std::fs::set_permissions(object, std::os::unix::fs::PermissionsExt::from_mode(0o444)).expect("mode");
    };
    damage();
    let store = project.path().join("store").display().to_string();
    data(&project, &db, &["push", "--remote", &format!("file://{store}")]).expect(3).says("is damaged");
    assert!(files_below(&project.path().join("store")).is_empty());
    std::fs::remove_file(project.path().join("t.parquet")).expect("remove");
    data(&project, &db, &["load", "t"]).expect(3).says("other bytes than its name says");
    data(&project, &db, &["export"]).expect(0);
    assert_eq!(&std::fs::read(object).expect("object"), whole);
}

#[test]
fn two_exports_at_once_leave_one_version_and_its_pointer() {
    let db = Db::new();
    db.sql("create table t (id int primary key, x int); insert into t select i, i from generate_series(1, 50000) i");
    let project = project("  a: {table: t, order_by: [id], out: a.parquet}\n  b: {table: t, order_by: [id], out: b.parquet}\n");
    repository(&project);
    for round in 0..8 {
        let start = || {
            Mlops::new(project.path())
                .args(["data", "export"])
                .env("DATABASE_URL", &db.url())
                .command()
                .stdout(Stdio::null())
                .spawn()
                .expect("starts")
        };
        let mut one = start();
        std::thread::sleep(Duration::from_millis(15 * round));
        db.sql(&format!("update t set x = x + 1 where id = {round}"));
        let mut other = start();
        assert!(one.wait().expect("ends").success() && other.wait().expect("ends").success());
        data(&project, &db, &["verify"]).expect(0);
    }
}

/// What is written last is what was read last: a run that waits for another looks at the rows only then.
#[test]
fn a_run_that_waited_writes_the_rows_of_afterwards() {
    let db = Db::new();
    db.sql("create table t (id int primary key); insert into t select generate_series(1, 10)");
    let project = project("  a: {table: t, order_by: [id], out: a.parquet}\n");
    repository(&project);
    let held = std::fs::File::open(project.path()).expect("folder");
    held.lock().expect("lock");
    let mut waiting =
        Mlops::new(project.path()).args(["data", "export"]).env("DATABASE_URL", &db.url()).command().stdout(Stdio::null()).spawn().expect("starts");
    std::thread::sleep(Duration::from_millis(700));
    db.sql("insert into t values (11)");
    held.unlock().expect("unlock");
    assert!(waiting.wait().expect("ends").success());
    assert!(project.read("a.parquet.dvc").contains("rows: 11"), "{}", project.read("a.parquet.dvc"));
}

#[test]
fn folders_are_compared_with_their_partition() {
    let db = Db::new();
    db.sql("create table t (id int primary key, country text); insert into t select i, (array['DE', 'FR', null, ''])[1 + i % 4] from generate_series(1, 100) i");
    let project = project("  parts: {table: t, partition_by: [country], order_by: [id], out: parts}\n");
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    commit(&project, "one");
    db.sql("update t set country = 'SE' where id = 50");
    data(&project, &db, &["export"]).expect(0);
    let ended = data(&project, &db, &["diff", "parts@HEAD", "parts", "--format", "json"]).expect(0);
    let diff = &ended.json()["diff"];
    assert_eq!((&diff["rows"], &diff["keys"]["changed"]["count"]), (&json!([100, 100]), &json!(1)), "{diff:#}");
    let country = diff["columns"].as_array().and_then(|c| c.iter().find(|c| c["name"] == "country")).expect("column");
    assert_eq!((&country["changed"], &country["nulls"]), (&json!(1), &json!([25, 24])), "{country:#}");
}

#[test]
fn what_is_equal_and_not_the_same_has_an_order_too() {
    let db = Db::new();
    let bytes = |values: [&str; 2], kind: &str, name: &str| {
        db.sql(&format!(
            "drop table if exists f; create table f (k {kind}, id int); insert into f values ('{}', 1), ('{}', 1)",
            values[0], values[1]
        ));
        let project = project(&format!("  f: {{table: f, order_by: [k], out: f.{name}}}\n"));
        data(&project, &db, &["export"]).expect(0);
        std::fs::read(project.path().join(format!("f.{name}"))).expect("file")
    };
    for (kind, one, other) in
        [("float8", "0", "-0"), ("float8[]", "{0}", "{-0}"), ("jsonb", "1.0", "1.00"), ("interval", "1 day", "24 hours"), ("numeric", "1.0", "1.00")]
    {
        for name in ["parquet", "csv"] {
            assert!(bytes([one, other], kind, name) == bytes([other, one], kind, name), "{kind} in {name}");
        }
    }
    // By value, also where the values travel as text.
    for (kind, few, many) in [("numeric", "9", "10"), ("interval", "9 days", "10 days"), ("inet", "9.0.0.1", "10.0.0.1"), ("float8", "9", "10")] {
        let csv = String::from_utf8(bytes([many, few], kind, "csv")).expect("text");
        assert!(csv.lines().nth(1).is_some_and(|line| line.contains('9')), "{kind}: {csv}");
    }
}

#[test]
fn odd_tables_and_sessions_lose_nothing() {
    let db = Db::new();
    db.sql("do $$ begin execute format('alter database %I set array_nulls = off', current_database()); end $$");
    db.sql(
        "create table t (id int, tn text[], double int generated always as (id * 2) stored, wide text); \
            set array_nulls = on; insert into t values (1, array[null, 'a']), (2, null); \
            insert into t (id, wide) select i, repeat(md5(i::text), 30000) from generate_series(3, 60) i; create table u (like t including all)",
    );
    let project = project("  t: {table: t, order_by: [id], out: t.parquet}\n  csv: {table: t, order_by: [id], out: t.csv}\n");
    data(&project, &db, &["export"]).expect(0);
    for name in ["t", "csv"] {
        data(&project, &db, &["load", name, "--table", "u"]).expect(0);
        assert_eq!(different(&db, "t", "u"), "0 0", "{name}");
    }
    let diff = data(&project, &db, &["diff", "t", "t.parquet", "--key", "id", "--format", "json"]).expect(0).json();
    assert_eq!(diff["diff"]["keys"]["changed"]["count"], 0);
}

#[test]
fn a_limit_an_interrupt_and_a_quit_leave_nothing() {
    let db = Db::new();
    db.sql("create table t (id int primary key, x text); insert into t select i, md5(i::text) from generate_series(1, 200000) i");
    let project = project("  t: {query: q.sql, order_by: [id], out: t.parquet}\n");
    project.write("q.sql", "select * from t");
    let before = files_below(project.path());
    let mlops = env!("CARGO_BIN_EXE_mlops");
    let ended = Command::new("bash")
        .args(["-c", &format!("ulimit -f 500; exec {mlops} data export")])
        .current_dir(project.path())
        .env("DATABASE_URL", db.url())
        .output();
    Ended::from(ended.expect("bash")).expect(3).says("File too large");
    assert_eq!(files_below(project.path()), before);
    project.write("q.sql", "select t.*, pg_sleep(0.01)::text as nap from t");
    let before = files_below(project.path());
    for (signal, code) in [(nix::sys::signal::Signal::SIGINT, 130), (nix::sys::signal::Signal::SIGQUIT, 131)] {
        let mut command = Mlops::new(project.path()).args(["data", "export"]).env("DATABASE_URL", &db.url()).command();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let running = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query like 'copy%'";
        while db.sql(running) == "0" {
            std::thread::sleep(Duration::from_millis(20));
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("pid")), signal).expect("signal");
        assert_eq!(child.wait().expect("ends").code(), Some(code));
        assert_eq!(files_below(project.path()), before, "{signal}");
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(db.sql(running), "0", "a query goes on after {signal}");
    }
}

#[test]
fn what_a_pointer_says_about_its_remote_counts() {
    let db = Db::new();
    db.sql("create table t (id int primary key); insert into t values (1)");
    let project = project("  t: {table: t, order_by: [id], out: \"data/a[1].parquet\"}\n");
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    assert_eq!(project.read("data/.gitignore"), "/a\\[1\\].parquet\n");
    assert!(!git(&project, &["status", "--porcelain", "--untracked-files=all"]).contains("a[1].parquet\n"));
    dvc(&project, &["remote", "add", "-d", "usual", "usual"]);
    dvc(&project, &["remote", "add", "own", "own"]);
    let pointer = project.read("data/a[1].parquet.dvc");
    let with = |more: &str| project.write("data/a[1].parquet.dvc", &pointer.replace("  hash: md5\n", &format!("  hash: md5\n{more}")));
    with("  remote: own\n  push: false\n");
    data(&project, &db, &["push"]).expect(0).says("`push: false`");
    assert!(!project.has("own") && !project.has("usual"));
    with("  remote: own\n");
    data(&project, &db, &["push"]).expect(0).says("1 object sent");
    assert!(project.has("own") && !project.has("usual"));
}

/// An S3 of its own.
struct Moto(std::process::Child, u16);

impl Moto {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("port").port();
        let mut command = Command::new(peer("dvc/bin/moto_server"));
        let child = command.args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("moto");
        let moto = Self(child, port);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        while std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        moto
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.1)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn s3_is_shared_with_dvc() {
    let db = Db::new();
    db.sql("create table t (id int primary key); insert into t select generate_series(1, 100)");
    let project = project("  t: {table: t, order_by: [id], out: t.parquet, remote: store}\n");
    repository(&project);
    let moto = Moto::start();
    let bucket = format!(
        "import boto3; boto3.client('s3', endpoint_url='{}', region_name='us-east-1', aws_access_key_id='k', aws_secret_access_key='s').create_bucket(Bucket='bucket')",
        moto.url()
    );
    tool(project.path(), peer("dvc/bin/python"), &["-c", &bucket]);
    dvc(&project, &["remote", "add", "-d", "store", "s3://bucket/some/where"]);
    for (key, value) in [("endpointurl", moto.url().as_str()), ("region", "us-east-1")] {
        dvc(&project, &["remote", "modify", "store", key, value]);
    }
    for (key, value) in [("access_key_id", "k"), ("secret_access_key", "very-secret-key")] {
        dvc(&project, &["remote", "modify", "--local", "store", key, value]);
    }
    let run = Mlops::new(project.path()).args(["run", "--stages", "snapshot", "-vv"]).env("DATABASE_URL", &db.url()).run().expect(0);
    run.says("1 object sent to s3://bucket/some/where");
    assert!(dvc(&project, &["status", "-c"]).contains("in sync"));
    for kept in [".dvc/cache", "t.parquet"] {
        let path = project.path().join(kept);
        let _ = (std::fs::remove_dir_all(&path), std::fs::remove_file(&path));
    }
    dvc(&project, &["pull", "-q"]);
    std::fs::remove_dir_all(project.path().join(".dvc/cache")).expect("cache");
    std::fs::remove_file(project.path().join("t.parquet")).expect("file");
    data(&project, &db, &["pull"]).expect(0).says("t.parquet is back in its place, 1 object fetched");
    project.replace(".dvc/config", "s3://bucket/some/where", "s3://missing/x");
    data(&project, &db, &["push"]).expect(3).says("s3://missing/x");
}

#[test]
fn a_kill_never_leaves_a_pointer_to_nothing() {
    let db = Db::new();
    db.sql("create table t (id int primary key, x float8); insert into t select i, i from generate_series(1, 60000) i");
    let project = project("  t: {table: t, order_by: [id], out: t.parquet}\n");
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let (mut cut, rounds) = (0, 60);
    for round in 0..rounds {
        db.sql(&format!("update t set x = x + 1 where id = {}", round + 1));
        let mut command = Mlops::new(project.path()).args(["data", "export"]).env("DATABASE_URL", &db.url()).command();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        std::thread::sleep(Duration::from_micros(random.random_range(5_000..250_000)));
        let _ = child.kill();
        cut += u32::from(!child.wait().expect("ends").success());
        let pointer = project.read("t.parquet.dvc");
        let md5 = pointer.split("md5: '").nth(1).and_then(|rest| rest.split('\'').next()).expect("md5");
        let object = project.path().join(format!(".dvc/cache/files/md5/{}/{}", &md5[..2], &md5[2..]));
        let said = tool(project.path(), "md5sum", &[&object.display().to_string()]);
        assert!(said.starts_with(md5), "round {round}: {said} is not {md5}");
    }
    assert!(cut > rounds / 4, "only {cut} of {rounds} runs were cut off");
    data(&project, &db, &["export"]).expect(0);
    data(&project, &db, &["verify", "--live"]).expect(0);
}

#[test]
fn a_lost_server_or_table_leaves_the_last_version() {
    let db = Db::new();
    db.sql("create table t (id int primary key, x text); insert into t values (1, 'a')");
    let project = project("  t: {query: q.sql, order_by: [id], out: t.parquet}\n");
    project.write("q.sql", "select * from t");
    data(&project, &db, &["export"]).expect(0);
    let before = files_below(project.path());
    let kept = |why: &str, code: i32, query: &str, said: &str| {
        project.write("q.sql", query);
        data(&project, &db, &["export"]).expect(code).says(said);
        project.write("q.sql", "select * from t");
        assert_eq!(files_below(project.path()), before, "{why}");
    };
    kept("an error in the last row", 1, "select i as id, 1 / (100000 - i) as x from generate_series(1, 100000) i", "division by zero");
    kept(
        "a backend that ends",
        3,
        "select i as id, case when i = 90000 then pg_terminate_backend(pg_backend_pid())::text end as x from generate_series(1, 100000) i",
        "running q.sql",
    );
    kept("no such table", 1, "select * from nowhere", "does not exist");
}

#[test]
fn lineage_is_told_in_the_words_of_openlineage() {
    let (project, db) = (project::flights(), Db::flights());
    Mlops::new(project.path()).args(["run", "--stages", "check,snapshot"]).env("DATABASE_URL", &db.url()).run().expect(0);
    let ours: Json = serde_json::from_str(&project.read("mlops-out/lineage.json")).expect("json");
    assert_eq!(ours["datasets"][0]["upstream_datasets"], json!(["public.flights", "public.weather"]));
    let events: Vec<Json> = project.read("mlops-out/openlineage.ndjson").lines().map(|line| serde_json::from_str(line).expect("event")).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["eventType"].as_str()).collect();
    assert_eq!(kinds, ["START", "COMPLETE"]);
    let complete = &events[1];
    assert_eq!(complete["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 26_398);
    let columns = &complete["outputs"][0]["facets"]["columnLineage"]["fields"];
    assert_eq!(columns["late"]["inputFields"][0]["field"], "arr_delay", "{columns:#}");
    let assertions = complete["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"].as_array().expect("assertions");
    assert!(assertions.len() > 10 && assertions.iter().all(|a| a["success"] == true));
    project.write("db/training.sql", "select nope from flights");
    Mlops::new(project.path()).args(["run", "--stages", "snapshot"]).env("DATABASE_URL", &db.url()).run().expect(1);
    let failed: Json = serde_json::from_str(project.read("mlops-out/openlineage.ndjson").lines().last().expect("event")).expect("json");
    assert_eq!(failed["eventType"], "FAIL");
    assert!(failed["run"]["facets"]["errorMessage"]["message"].as_str().is_some_and(|m| m.contains("nope")), "{failed:#}");
    for event in events.iter().chain([&failed]) {
        valid(event);
    }
}

/// The event against its schema, and every facet against its own: the event's schema takes any.
fn valid(event: &Json) {
    let folder = root().join("fixtures/openlineage");
    let read = |name: &str| -> Json { serde_json::from_str(&std::fs::read_to_string(folder.join(name)).expect("schema")).expect("json") };
    let core = read("OpenLineage.json");
    let check = |schema: &Json, pointer: &str, value: &Json| {
        let id = schema["$id"].as_str().expect("id");
        let wanted = json!({"$ref": format!("{id}#/$defs/{pointer}")});
        let mut registry = jsonschema::Registry::new().add(core["$id"].as_str().expect("id"), core.clone()).expect("core");
        if id != core["$id"] {
            registry = registry.add(id, schema.clone()).expect("facet");
        }
        let registry = registry.prepare().expect("registry");
        let validator = jsonschema::options().with_registry(&registry).build(&wanted).expect("schema");
        let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{pointer}: {errors:?} in {value:#}");
    };
    check(&core, "RunEvent", event);
    let sides = |key: &str| event[key].as_array().cloned().unwrap_or_default();
    let mut groups = vec![event["run"]["facets"].clone(), event["job"]["facets"].clone()];
    for (side, extra) in [("inputs", "inputFacets"), ("outputs", "outputFacets")] {
        groups.extend(sides(side).iter().flat_map(|d| [d["facets"].clone(), d[extra].clone()]));
    }
    let mut seen = 0;
    for facet in groups.iter().filter_map(Json::as_object).flat_map(|group| group.values()) {
        let url = facet["_schemaURL"].as_str().expect("schema's URL");
        let (file, pointer) = url.split_once("#/$defs/").expect("definition");
        let schema = read(file.rsplit('/').next().expect("name"));
        assert_eq!(schema["$id"], file, "the facet's version");
        check(&schema, pointer, facet);
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn the_flights_change_and_come_back() {
    let (project, db) = (project::flights(), Db::flights());
    repository(&project);
    data(&project, &db, &["export"]).expect(0);
    commit(&project, "january");
    db.sql("update flights set dep_delay = dep_delay + 30 where flight_id % 100 = 7");
    db.sql("delete from flights where flight_id % 1000 = 3");
    data(&project, &db, &["verify", "--live"]).expect(1).says("the database holds 26,373 rows, the version 26398");
    data(&project, &db, &["export"]).expect(0);
    commit(&project, "corrected");
    let ended = data(&project, &db, &["diff", "training@HEAD~1", "--format", "json"]).expect(0);
    let diff = &ended.json()["diff"];
    let expected = db.sql("select count(*) from departures where flight_id % 100 = 7");
    let dep_delay = diff["columns"].as_array().and_then(|c| c.iter().find(|c| c["name"] == "dep_delay")).expect("column");
    assert_eq!(dep_delay["changed"].to_string(), expected, "{diff:#}");
    let removed = diff["keys"]["removed"]["count"].as_u64().expect("count");
    assert_eq!(diff["rows"][0].as_u64().expect("rows") - removed, diff["rows"][1].as_u64().expect("rows"));
    assert!(removed > 0 && diff["keys"]["added"]["count"] == 0);
    data(&project, &db, &["rollback", "training", "--to", "HEAD~1"]).expect(0).says("it belongs to schema revision 0004");
    data(&project, &db, &["verify"]).expect(0);
    assert!(dvc(&project, &["status"]).contains("up to date"));
    // The rows too, into a table that can take them; and not into another schema.
    db.sql("create table training (flight_id int primary key, carrier text, origin text, dest text, time_hour timestamptz, hour int, minute int, distance int, \
            dep_delay int, temp float8, wind_speed float8, visib float8, precip float8, pressure float8, late boolean)");
    data(&project, &db, &["rollback", "training", "--to", "HEAD~1", "--table", "training"]).expect(0).says("26,398 rows loaded into training");
    assert_eq!(db.sql("select count(*) from training"), "26398");
    Mlops::new(project.path()).args(["migrate", "down", "1"]).env("DATABASE_URL", &db.url()).run().expect(0);
    let refused = data(&project, &db, &["rollback", "training", "--to", "HEAD", "--table", "training"]).expect(3);
    refused.says("belongs to schema revision 0004").says("`mlops migrate to 0004` first; nothing was changed");
    data(&project, &db, &["list"]).expect(0).says("26398 rows").says("corrected");
}
