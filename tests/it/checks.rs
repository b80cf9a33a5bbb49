use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use serde_json::Value as Json;

use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project};
use crate::support::root;
use crate::support::server::Db;

/// 100 rows with something wrong in every column.
const TABLE: &str = "
    create table parent (id int primary key, code text not null);
    insert into parent select i, 'p' || i from generate_series(0, 7) i;
    create table t (id int not null, a int, p float8, c text, at timestamptz, split text, label boolean, n numeric, tags text[]);
    insert into t select i, i % 10, case i when 1 then 'NaN' when 2 then 'Infinity' else i / 100.0 end,
      case i % 4 when 0 then 'aa' when 1 then 'bb' when 2 then 'c-c' end, timestamptz '2026-01-01 00:00:00Z' + i * interval '1 hour',
      case when i <= 70 then 'train' else 'test' end, i % 3 = 0, i % 7, array['x', 'y'] from generate_series(1, 100) i;
    create table empty (id int);
    analyze";

/// Every check four times; a check's name says how it ends.
const GATES: &str = r#"
    t:
      rows: [{name: passed, min: 100}, {name: warned, min: 50, warn: 200}, {name: failed, min: 101}, {name: broken, min: 1, where: nope = 1}]
      volume: [{name: passed, between: [-10%, 10%]}, {name: warned, between: [-60%, 10%], warn: [-10%, 10%], where: id <= 50}, {name: failed, between: [-10%, 10%], where: id <= 50}, {name: broken, against: gone.json, between: [-10%, 10%]}]
      schema: [{name: passed, against: baseline}, {name: warned, extra: warn}, {name: failed, forbidden: [tags]}, {name: broken, against: gone.json}]
      unique: [{name: passed, columns: id}, {name: warned, columns: [a, split], max: 90, warn: 10}, {name: failed, columns: [a, split]}, {name: broken, columns: [a, nope]}]
      expression: [{name: passed, sql: id > 0}, {name: warned, sql: id > 5, max: 10, warn: 1}, {name: failed, sql: a < id - 5}, {name: broken, sql: id >}]
      no_rows: [{name: passed, sql: "select 1 from {table} where id > 100"}, {name: warned, sql: "select id from {table} where id > 95", max: 10, warn: 1}, {name: failed, sql: "select id from {table} where id > 95"}, {name: broken, sql: "select nope from {table}"}]
      metric: [{name: passed, sql: "select avg(a) from {table}", between: [4, 5]}, {name: warned, sql: "select 3", min: 1, warn: 4}, {name: failed, sql: "select 0", min: 1}, {name: broken, sql: "select null", min: 1}]
      reconcile: [{name: passed, with: "select 100"}, {name: warned, compare: rows, sql: "select id from {table}", with: "select generate_series(1, 99)", max: 3, warn: 0}, {name: failed, with: "select 99"}, {name: broken, with: "select 'x'"}]
      anomaly: [{name: passed, of: rows}, {name: warned, of: rows, max: 900, warn: 1, where: id <= 90}, {name: failed, of: rows, where: id <= 50}, {name: broken, of: rows, where: nope = 1}]
      drift: [{name: passed}, {name: warned, columns: [a], psi: {max: 99, warn: 0.1}, where: id <= 15}, {name: failed, columns: [a], where: a < 3}, {name: broken, columns: [at]}]
      split: {column: split, ratios: {train: 70%, test: 30%}, entity: id, overlap: {name: passed}, duplicates: {name: passed, columns: [id]}, time: at, name: passed}
      label: {column: label, positive: {name: passed, between: [30%, 40%]}, balance: {name: passed, min: 20%}, conflicts: {name: passed, columns: [id]}, leakage: {name: passed, columns: [a], max: 0.9}}
      columns:
        id: {}
        a:
          type: [{name: passed, is: int}, {name: warned, is: text, level: warn}, {name: failed, is: text}]
          not_null: [{name: passed}]
          in: [{name: passed, values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}, {name: warned, values: [1, 2, 3, 4, 5, 6, 7, 8, 9], max: 10%, warn: 1%}, {name: failed, values: [1]}, {name: broken, values: [one]}]
          not_in: [{name: passed, values: [-1]}, {name: warned, values: [0], max: 10%, warn: 1}, {name: failed, values: [0]}, {name: broken, values: [one]}]
          range: [{name: passed, between: [0, 9]}, {name: warned, between: [0, 8], max: 10%, warn: 0}, {name: failed, between: [1, 9]}, {name: broken, between: [a, b]}]
          min: [{name: passed, min: 0}, {name: warned, min: 0, warn: 1}, {name: failed, min: 1}, {name: broken, min: 0, where: nope = 1}]
          max: [{name: passed, max: 9}, {name: warned, max: 10, warn: 8}, {name: failed, max: 8}, {name: broken, max: 9, where: nope = 1}]
          avg: [{name: passed, between: [4, 5]}, {name: warned, min: 4, warn: 5}, {name: failed, min: 5}, {name: broken, min: 4, where: nope = 1}]
          sum: [{name: passed, min: 450}, {name: warned, min: 450, warn: 451}, {name: failed, min: 451}, {name: broken, min: 1, where: nope = 1}]
          stddev: [{name: passed, between: [2.8, 2.9]}, {name: warned, max: 3, warn: 2}, {name: failed, max: 2}, {name: broken, max: 3, where: id = 1}]
          quantile: [{name: passed, q: 0.5, between: [4, 5]}, {name: warned, q: 0.5, max: 5, warn: 4}, {name: failed, q: 0.5, max: 4}, {name: broken, q: 0.5, max: 5, where: nope = 1}]
          distinct: [{name: passed, min: 2, max: 10}, {name: warned, max: 20, warn: 5}, {name: failed, min: 2, where: a = 1}, {name: broken, min: 2, where: nope = 1}]
          outliers: [{name: passed}, {name: warned, method: zscore, k: 1.5, max: 50%, warn: 1%}, {name: failed, method: zscore, k: 1}, {name: broken, where: nope = 1}]
          references: [{name: passed, to: parent.id, where: a < 8}, {name: warned, to: parent.id, max: 20%, warn: 10%}, {name: failed, to: parent.id}, {name: broken, to: parent.nope}]
          categories: [{name: passed}, {name: warned, where: a < 8}, {name: failed, lost: fail, where: a < 8}, {name: broken, against: gone.json}]
          drift: [{name: passed, ks: 0.1, wasserstein: 0.1, js: 0.1, cramers_v: 0.1, chi2: 0.05}, {name: warned, psi: {max: 99, warn: 0.1}, where: a < 5}, {name: failed, ks: 0.1, where: a < 5}, {name: broken, against: gone.json}]
        p:
          nan: [{name: passed, where: id > 1}, {name: warned, max: 1%, warn: 0}, {name: failed}, {name: broken, where: nope = 1}]
          infinite: [{name: passed, where: id <> 2}, {name: warned, max: 1%, warn: 0}, {name: failed}, {name: broken, where: nope = 1}]
        c:
          nulls: [{name: passed, max: 25%}, {name: warned, max: 25, warn: 1%}, {name: failed, max: 24%}, {name: broken, where: nope = 1}]
          not_null: [{name: warned, level: warn}, {name: failed}, {name: broken, where: nope = 1}]
          matches: [{name: passed, regex: "^[a-c-]+$"}, {name: warned, regex: "^.{2}$", max: 30, warn: 1}, {name: failed, regex: "^.{2}$"}, {name: broken, regex: "("}]
          format: [{name: passed, is: not_blank}, {name: warned, is: country, level: warn}, {name: failed, is: email}, {name: broken, is: email, where: nope = 1}]
          length: [{name: passed, is: [2, 3]}, {name: warned, is: 2, max: 30, warn: 1}, {name: failed, is: 2}, {name: broken, is: 2, where: nope = 1}]
        at:
          fresh: [{name: passed, max: 7d, as_of: "2026-01-06T00:00:00Z"}, {name: warned, max: 7d, warn: 1h, as_of: "2026-01-06T00:00:00Z"}, {name: failed, max: 1h, as_of: "2026-01-06T00:00:00Z"}, {name: broken, max: 7d, where: nope = 1}]
    gone:
      rows: 1
    parent:
      columns: {nope: {unique: true}}
    empty:
      columns: {id: {unique: {name: failed}}}
"#;

/// The groups' checks: one of each in a table of gates, so the other three endings have tables of their own.
const GROUPS: [(&str, &str); 3] = [
    (
        "warned",
        "split: {column: split, name: warned, level: warn, ratios: {train: 50%, test: 50%}, entity: a, overlap: {name: warned}, duplicates: {name: warned, columns: [a]}, \
         parts: [test, train], time: at}\n      \
         label: {column: label, positive: {name: warned, between: [10%, 40%], warn: [10%, 20%]}, balance: {name: warned, min: 10%, warn: 90%}, \
         conflicts: {name: warned, columns: [a], max: 100%, warn: 1}, leakage: {name: warned, columns: [leak], max: 1, warn: 0.5}}",
    ),
    (
        "failed",
        "split: {column: split, name: failed, ratios: {train: 50%, test: 50%}, entity: a, overlap: {name: failed}, duplicates: {name: failed, columns: [a]}, \
         parts: [test, train], time: at}\n      \
         label: {column: label, positive: {name: failed, min: 50%}, balance: {name: failed, min: 90%}, conflicts: {name: failed, columns: [a]}, \
         leakage: {name: failed, columns: [leak], max: 0.8}}",
    ),
    (
        "broken",
        "split: {column: split, name: broken, where: nope = 1, ratios: {train: 70%, test: 30%}, entity: id, overlap: {name: broken}, duplicates: {name: broken, columns: [id]}, \
         time: at}\n      \
         label: {column: label, where: nope = 1, positive: {name: broken, min: 10%}, balance: {name: broken, min: 10%}, conflicts: {name: broken, columns: [id]}, \
         leakage: {name: broken, columns: [a], max: 0.9}}",
    ),
];

fn project(gates: &str) -> Project {
    project::with(&[("mlops.yml", &format!("version: 1\nproject: checks\ndatabase: {{url: \"${{DATABASE_URL}}\"}}\ngates:\n  data:{gates}"))])
}

fn run(project: &Project, db: &Db, args: &[&'static str]) -> Ended {
    Mlops::new(project.path()).args(args.iter().copied()).env("DATABASE_URL", &db.url()).run()
}

fn outcomes(project: &Project) -> Vec<Json> {
    let report = project.report();
    let stages = report["stages"].as_array().expect("stages");
    stages.iter().filter(|s| s["name"] == "check").flat_map(|s| s["outcomes"].as_array().expect("outcomes")).cloned().collect()
}

/// Kind and name of a title such as `range (failed)`.
fn named(title: &str) -> Option<(&str, &str)> {
    title.strip_suffix(')')?.split_once(" (")
}

fn text<'a>(outcome: &'a Json, key: &str) -> &'a str {
    outcome[key].as_str().unwrap_or_default()
}

/// Ten runs of 100 rows or nearly so, so that an anomaly can be told.
fn with_history(db: &Db, project: &Project) {
    let first = Mlops::new(project.path()).args(["check", "--only", "data.t.anomaly"]).env("DATABASE_URL", &db.url()).run();
    assert!([0, 1, 3].contains(&first.code), "{}", first.err);
    db.sql(
        "insert into mlops.measure (project, check_path, value) \
         select 'checks', 'data.t.anomaly.' || n, 99 + i % 3 from generate_series(1, 10) i, unnest(array['passed', 'warned', 'failed', 'broken']) n",
    );
}

#[test]
fn every_check_passes_warns_fails_and_breaks() {
    let db = Db::new();
    db.sql(TABLE);
    db.sql("alter table t add column leak text; update t set leak = label::text; analyze t");
    let project = project(GATES);
    run(&project, &db, &["data", "profile", "t"]).expect(0);
    with_history(&db, &project);
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    run(&project, &db, &["check"]).expect(1);
    let mut all = outcomes(&project);
    for (_, groups) in GROUPS {
        let gates = format!("\n    t:\n      {groups}\n");
        let project = self::project(&gates);
        let ended = run(&project, &db, &["check"]);
        assert!([0, 1, 3].contains(&ended.code), "{}", ended.err);
        all.extend(outcomes(&project));
    }
    for outcome in &all {
        let status = text(outcome, "status").to_owned();
        let Some((kind, name)) = named(text(outcome, "name")) else {
            seen.entry(text(outcome, "name").to_owned()).or_default().insert(status);
            continue;
        };
        if name != status {
            wrong.push(format!("{} {kind}: {status} instead of {name}: {}", text(outcome, "subject"), text(outcome, "message")));
        }
        seen.entry(kind.to_owned()).or_default().insert(status);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The catalog answers these, and nothing can be said about them but yes or no.
    let fewer = [("exists", vec!["passed", "failed"]), ("columns", vec!["passed", "failed"]), ("type", vec!["passed", "warned", "failed"])];
    for entry in Mlops::new(&root()).args(["explain", "--format", "json"]).run().expect(0).json().as_array().expect("list") {
        let name = text(entry, "name");
        if entry["family"] != "check" {
            continue;
        }
        let needed = fewer.iter().find(|(kind, _)| *kind == name).map_or(vec!["passed", "warned", "failed", "broken"], |(_, needed)| needed.clone());
        let endings = seen.get(name).cloned().unwrap_or_default();
        assert!(needed.iter().all(|ending| endings.contains(*ending)), "{name} was only seen {endings:?}");
    }
}

/// `gates.md`'s five rows, on which the best tools disagree.
#[test]
fn duplicates_and_nulls_mean_what_the_documentation_says() {
    let db = Db::new();
    db.sql("create table five (a int, b int); insert into five values (1, null), (1, null), (2, 2), (2, 2), (2, 2)");
    db.sql("create table glued (a text, b text); insert into glued values ('a||b', 'c'), ('a', 'b||c')");
    db.sql("create table empty (a float8); create table late (at timestamptz); insert into late values (now() + interval '5 days')");
    db.sql("create table many as select case when i <= 1000 then 'bad' else 'good' end as v from generate_series(1, 2000) i");
    let project = project(
        "\n    five:\n      unique: [{name: a, columns: a}, {name: distinct, columns: [a, b]}, {name: equal, columns: [a, b], nulls: equal}]\n      \
         columns: {b: {in: [2], nope: {}}}\n    glued:\n      unique: [{name: glued, columns: [a, b]}]\n    \
         empty:\n      rows: 0\n      columns: {a: {nulls: 2%, avg: {min: 0}, unique: true}}\n    late:\n      columns: {at: {fresh: 1h}}\n    \
         many:\n      columns: {v: {in: {values: [good], max: 999}, matches: \"(\", length: 4}}\n",
    );
    project.replace("mlops.yml", ", nope: {}", "");
    run(&project, &db, &["check"]).expect(1);
    let all = outcomes(&project);
    let said = |subject: &str, name: &str| {
        let found = all.iter().find(|o| text(o, "subject") == subject && text(o, "name") == name).unwrap_or_else(|| panic!("{subject} {name}"));
        format!("{}: {}", text(found, "status"), text(found, "message"))
    };
    assert_eq!(said("five", "unique (a)"), "failed: 3 of 5 rows (60%) are duplicates by (a); allowed: 0 (2 keys in all, 5 with the same key)");
    assert_eq!(
        said("five", "unique (distinct)"),
        "failed: 2 of 5 rows (40%) are duplicates by (a, b); allowed: 0 (1 key in all, 3 with the same key)"
    );
    assert_eq!(said("five", "unique (equal)"), "failed: 3 of 5 rows (60%) are duplicates by (a, b); allowed: 0 (2 keys in all, 5 with the same key)");
    assert_eq!(said("five.b", "in"), "passed: 0 of 5 rows have another value (nulls ignored: 2)");
    assert!(said("glued", "unique (glued)").starts_with("passed"));
    for name in ["nulls", "avg", "unique"] {
        assert!(said("empty.a", name).starts_with("failed: the table is empty"), "{name}");
    }
    assert!(said("empty", "rows").starts_with("passed"));
    assert!(said("late.at", "fresh").contains("in the future"));
    // A bad pattern breaks its own check and no other; rows are counted, not values.
    assert!(said("many.v", "matches").starts_with("broken: could not be evaluated: invalid regular expression"));
    assert!(said("many.v", "in").starts_with("failed: 1,000 of 2,000 rows"));
    assert!(said("many.v", "length").starts_with("failed: 1,000 of 2,000 rows"));
}

#[test]
fn what_a_constraint_proves_is_not_scanned() {
    let db = Db::new();
    db.sql(
        "create table parent (id int primary key); insert into parent values (1), (2);
         create table t (id int primary key, p int not null references parent, age int check (age between 18 and 80), c text check (c in ('a', 'b')),
                         late int references parent);
         insert into t values (1, 1, 18, 'a', 1), (2, 2, null, 'b', null); alter table t add constraint odd check (age > 17) not valid;
         create table child () inherits (t); insert into child values (1, 1, 20, 'a', 9)",
    );
    let gates = "\n    parent: {rows: 1}\n    t:\n      unique: [[id, p]]\n      expression: [{sql: age < 81}, {sql: age < 80}]\n      columns:\n        \
                 id: {unique: true}\n        p: {not_null: true, references: parent.id}\n        age: {range: [18, 80], not_null: true}\n        \
                 c: {in: [a, b, c], nulls: 0}\n        late: {references: parent.id}\n";
    let project = project(gates);
    // Another table inherits this one, and its rows obey no key of it.
    run(&project, &db, &["check"]).expect(1);
    let proven = |project: &Project| {
        let all = outcomes(project);
        let by = all.iter().filter_map(|o| {
            let by = text(o, "message").strip_prefix("proven by ")?.split(" for all").next()?;
            Some(format!("{} {}: {by}", text(o, "subject"), text(o, "name")))
        });
        by.collect::<Vec<_>>()
    };
    assert_eq!(
        proven(&project),
        ["t expression: t_age_check, t_c_check", "t.p not_null: the column's not null constraint", "t.age range: t_age_check", "t.c in: t_c_check",]
    );
    db.sql("drop table child");
    run(&project, &db, &["check"]).expect(1);
    let all = proven(&project);
    for by in ["t unique: t_pkey", "t.id unique: t_pkey", "t.p references: t_p_fkey", "t.late references: t_late_fkey"] {
        assert!(all.contains(&by.to_owned()), "{by} is not in {all:#?}");
    }
    assert!(!all.iter().any(|by| by.starts_with("t.age not_null") || by.starts_with("t.c nulls")), "{all:#?}");
    let explained = run(&project, &db, &["check", "--explain"]).expect(0).out;
    assert!(explained.contains("-- proven by t_pkey: data.t.id.unique") && explained.contains("select "), "{explained}");
}

#[test]
fn checks_are_selected_by_name_tag_and_shard() {
    let db = Db::new();
    db.sql(TABLE);
    let project = project(
        "\n    t:\n      rows: {min: 1, tags: [fast]}\n      columns: {a: {not_null: true, unique: true}}\n    parent: {rows: {min: 1, tags: [fast]}}\n",
    );
    let names = |args: &[&'static str], code: i32| {
        run(&project, &db, args).expect(code);
        outcomes(&project).iter().map(|o| format!("{} {}", text(o, "subject"), text(o, "name"))).collect::<Vec<_>>()
    };
    assert_eq!(names(&["check", "--only", "data.t.a.not_null"], 0), ["t exists", "t columns", "t.a not_null"]);
    assert_eq!(names(&["run", "--tags", "fast"], 0), ["t exists", "t columns", "t rows", "parent exists", "parent rows"]);
    let typo = run(&project, &db, &["check", "--only", "data.t.b"]).expect(2);
    assert!(typo.err.contains("did you mean"), "{}", typo.err);
    let shards: Vec<String> = ["1/2", "2/2"].iter().flat_map(|shard| names_of_shard(&project, &db, shard)).collect();
    assert_eq!(shards.len(), 7, "{shards:?}");
    let gitlab = Mlops::new(project.path())
        .args(["plan"])
        .env("DATABASE_URL", &db.url())
        .env("CI_NODE_INDEX", "1")
        .env("CI_NODE_TOTAL", "2")
        .run()
        .expect(0)
        .out;
    let other = Mlops::new(project.path())
        .args(["plan"])
        .env("DATABASE_URL", &db.url())
        .env("CI_NODE_INDEX", "2")
        .env("CI_NODE_TOTAL", "2")
        .run()
        .expect(0)
        .out;
    assert_ne!(gitlab, other);
}

fn names_of_shard(project: &Project, db: &Db, shard: &str) -> Vec<String> {
    let ended = Mlops::new(project.path()).args(["check"]).env("MLOPS_SHARD", shard).env("DATABASE_URL", &db.url()).run();
    assert!([0, 1].contains(&ended.code), "{}", ended.err);
    outcomes(project).iter().filter(|o| text(o, "status") != "skipped").map(|o| format!("{} {}", text(o, "subject"), text(o, "name"))).collect()
}

#[test]
fn the_same_rows_give_the_same_profile_and_what_is_personal_is_not_in_it() {
    let db = Db::new();
    db.sql(TABLE);
    let project = project("\n    t:\n      columns: {c: {redact: true, matches: nothing}, a: {drift: {psi: 0.1}}}\n");
    run(&project, &db, &["data", "profile"]).expect(0);
    let first = project.read("mlops-baseline.json");
    db.sql("create table other as select * from t order by random(); truncate t; insert into t select * from other");
    assert!(run(&project, &db, &["data", "profile"]).expect(0).out.contains("unchanged"));
    assert_eq!(project.read("mlops-baseline.json"), first);
    assert!(first.contains("\"type\":\"text\"") && !first.contains("c-c"), "{first}");
    // Nor is it in the evidence of a failure.
    run(&project, &db, &["check"]).expect(1);
    let report = project.read("mlops-out/report.json");
    assert!(report.contains("(redacted)") && !report.contains("c-c"), "{report}");
}

#[test]
fn names_types_and_tables_of_every_kind() {
    let db = Db::new();
    db.sql(
        "create schema \"Odd\"; create type mood as enum ('sad', 'ok'); create domain small as int check (value < 100);
         create table \"Odd\".\"My Table\" (\"Id \"\"x\" int, m mood, s small, j jsonb, l text[], big numeric, u uuid default gen_random_uuid(), d date, b bytea);
         insert into \"Odd\".\"My Table\" values (1, 'ok', 5, '{\"a\": 1}', array['x'], 1e400, default, '2026-01-01', '\\x00'), (2, 'sad', null, null, '{}', 2, default, 'infinity', null);
         create view \"Odd\".v as select * from \"Odd\".\"My Table\";
         create table parted (id int, at date) partition by range (at); create table p1 partition of parted for values from ('2026-01-01') to ('2027-01-01');
         insert into parted values (1, '2026-01-01'), (1, '2026-05-01')",
    );
    let wide: Vec<String> = (0..1_590).map(|i| format!("c{i} int default {i}")).collect();
    db.sql(&format!("create table wide ({}); insert into wide default values", wide.join(", ")));
    let columns = "{\"Id \\\"x\": {unique: true, not_null: true}, m: {in: [ok, sad], unique: true}, s: {range: [1, 10], unique: true}, j: {nulls: 50%}, \
                   l: {length: [0, 1], distinct: 2}, big: {range: [0, 2], unique: true, nan: true, infinite: true}, u: {format: uuid, unique: true}, \
                   d: {infinite: true, range: [\"2025-01-01\", null]}, b: {length: 1}}";
    let many: Vec<String> = (0..1_590).map(|i| format!("c{i}: {{not_null: true, range: [{i}, {i}]}}")).collect();
    let gates = format!(
        "\n    Odd.My Table:\n      columns: {columns}\n    Odd.v:\n      columns: {columns}\n    parted:\n      unique: [[id, at]]\n      columns: {{id: {{unique: true}}}}\n    \
         wide:\n      columns: {{{}}}\n",
        many.join(", ")
    );
    let project = project(&gates);
    run(&project, &db, &["check"]).expect(1);
    let all = outcomes(&project);
    let bad: Vec<String> = all
        .iter()
        .filter(|o| text(o, "status") != "passed")
        .map(|o| format!("{} {} {}", text(o, "subject"), text(o, "name"), text(o, "status")))
        .collect();
    assert_eq!(
        bad,
        [
            "Odd.My Table.big range failed",
            "Odd.My Table.d infinite failed",
            "Odd.v.big range failed",
            "Odd.v.d infinite failed",
            "parted.id unique failed",
        ]
    );
    assert_eq!(all.iter().filter(|o| text(o, "subject").starts_with("wide")).count(), 2 + 2 * 1_590);
}

#[test]
fn an_interrupted_run_leaves_no_statement_on_the_server() {
    let db = Db::new();
    db.sql("create table t (id int); insert into t values (1)");
    let project = project("\n    t:\n      no_rows: [{sql: \"select pg_sleep(600)\"}]\n");
    let sleeping = || {
        db.sql(
            "select count(*) from pg_stat_activity where datname = current_database() and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()",
        )
    };
    let mut child = Mlops::new(project.path())
        .args(["check"])
        .env("DATABASE_URL", &db.url())
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while sleeping() == "0" {
        assert!(std::time::Instant::now() < deadline, "the statement never ran");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("pid")), nix::sys::signal::Signal::SIGTERM).expect("kill");
    assert_eq!(child.wait().expect("child").code(), Some(143));
    while sleeping() != "0" {
        assert!(std::time::Instant::now() < deadline, "the statement goes on");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn timeouts_lost_connections_and_dropped_tables_are_never_green() {
    let db = Db::new();
    db.sql("create table t (id int); insert into t values (1); create table late (id int); insert into late values (1)");
    let slow = "\n    t:\n      no_rows: [{sql: \"select pg_sleep(5)\"}]\n      rows: 1\n";
    let slow = project::with(&[(
        "mlops.yml",
        &format!("version: 1\nproject: checks\ndatabase: {{url: \"${{DATABASE_URL}}\", statement_timeout: 200ms}}\ngates:\n  data:{slow}"),
    )]);
    run(&slow, &db, &["check"]).expect(3);
    let all = outcomes(&slow);
    let status = |name: &str| text(all.iter().find(|o| text(o, "name") == name).expect(name), "status").to_owned();
    assert_eq!([status("no_rows"), status("rows")], ["broken", "passed"]);
    // The connection is lost in the middle, every time it is tried again.
    let lost = project("\n    t:\n      no_rows: [{sql: \"select pg_terminate_backend(pg_backend_pid())\"}]\n      rows: 1\n");
    run(&lost, &db, &["check"]).expect(3);
    // A table that goes while the run is on: it is not looked at before another's scan has ended.
    let dropped = project("\n    t:\n      expression: [\"pg_sleep(1.5) is not null\"]\n    late:\n      rows: 1\n");
    let mut child = Mlops::new(dropped.path())
        .args(["check"])
        .env("DATABASE_URL", &db.url())
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while db
        .sql("select count(*) from pg_stat_activity where datname = current_database() and query like '%pg_sleep(1.5)%' and pid <> pg_backend_pid()")
        == "0"
    {
        assert!(std::time::Instant::now() < deadline, "the scan never ran");
    }
    db.sql("drop table late");
    assert_eq!(child.wait().expect("child").code(), Some(3));
    let all = outcomes(&dropped);
    let of_late = |name: &str| text(all.iter().find(|o| text(o, "subject") == "late" && text(o, "name") == name).expect(name), "status").to_owned();
    assert_eq!([of_late("exists"), of_late("rows")], ["passed", "broken"]);
}
