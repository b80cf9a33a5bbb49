//! What the linter objects to, rule by rule.

use serde_json::Value as Json;

use crate::support::bin::Mlops;
use crate::support::project;
use crate::support::server::Db;

/// `(rule, migration text)`: the smallest migration that each rule objects to, without a database and inside a transaction
/// unless it says otherwise: every rule of squawk's that is on, then our own.
///
/// Not here: `prefer-repack`, which objects to `cluster` and `vacuum full` on a server from version 19 on only.
const CASES: [(&str, &str); 50] = [
    ("adding-field-with-default", "alter table t add a float default random();"),
    ("adding-foreign-key-constraint", "alter table t add foreign key (a) references u;"),
    ("adding-not-nullable-field", "alter table t alter a set not null;"),
    ("adding-required-field", "alter table t add a text not null;"),
    ("adding-serial-primary-key-field", "alter table t add primary key (a);"),
    ("ban-alter-domain-with-add-constraint", "alter domain d add check (value <> '');"),
    ("ban-alter-identity", "alter table t alter a drop identity;"),
    ("ban-char-field", "create table t (a char(3));"),
    ("ban-concurrent-index-creation-in-transaction", "select 1; create index concurrently i on t (a);"),
    ("ban-create-domain-with-constraint", "create domain d as text check (value <> '');"),
    ("ban-drop-column", "alter table t drop a;"),
    ("ban-drop-constraint", "alter table t drop constraint t_a_check;"),
    ("ban-drop-database", "drop database d;"),
    ("ban-drop-default", "alter table t alter a drop default;"),
    ("ban-drop-domain", "drop domain code;"),
    ("ban-drop-extension", "drop extension e;"),
    ("ban-drop-function", "drop function f;"),
    ("ban-drop-generated-expression", "alter table t alter a drop expression;"),
    ("ban-drop-not-null", "alter table t alter a drop not null;"),
    ("ban-drop-schema", "drop schema s;"),
    ("ban-drop-sequence", "drop sequence s;"),
    ("ban-drop-table", "drop table flights;"),
    ("ban-drop-type", "drop type k;"),
    ("ban-drop-view", "drop view delays;"),
    ("ban-duplicate-column-assignments", "update t set a = 1, a = 2;"),
    ("ban-set-schema", "alter table t set schema archive;"),
    ("ban-truncate-cascade", "truncate t cascade;"),
    ("ban-uncommitted-transaction", "begin;"),
    ("changing-column-type", "alter table t alter a type bigint;"),
    ("constraint-missing-not-valid", "alter table t add check (a > 0);"),
    ("disallowed-unique-constraint", "alter table t add unique (a);"),
    ("identifier-too-long", "select 1 as a_name_of_sixty_four_bytes_is_longer_by_one_than_any_name_may_be;"),
    ("prefer-bigint-over-int", "create table t (a int);"),
    ("prefer-bigint-over-smallint", "create table t (a smallint);"),
    ("prefer-identity", "create table t (a bigserial);"),
    ("prefer-robust-stmts", "-- mlops: no-transaction\ndrop index concurrently t_a_idx;"),
    ("prefer-text-field", "create table t (a varchar(3));"),
    ("prefer-timestamp-tz", "create table t (a timestamp);"),
    ("renaming-column", "alter table t rename a to b;"),
    ("renaming-object", "alter view v rename to delays;"),
    ("renaming-table", "alter table t rename to u;"),
    ("require-concurrent-index-creation", "create index i on t (a);"),
    ("require-concurrent-index-deletion", "drop index t_a_idx;"),
    ("require-concurrent-partition-detach", "alter table t detach partition t_2013;"),
    ("require-concurrent-reindex", "reindex table t;"),
    ("require-enum-value-ordering", "alter type k add value 'x';"),
    ("transaction-nesting", "commit;"),
    ("unused-ignore", "-- squawk-ignore no-such-rule\nselect 1;"),
    ("delete-all-rows", "delete from t;"),
    ("syntax-error", "select 1 from;"),
];

/// Every class weighs something here: each finding is an outcome of its own.
const CONFIG: &str = "version: 1\nproject: p\ndatabase: {url: \"${DATABASE_URL}\"}\nmigrate:\n  dir: m\n  lint:\n    warn: [destructive, locking, transaction, \
                      contract, compatibility, style]\n    fail: []\n    off: [undo]\n    large_tables: [t, u, flights]\n";

#[test]
fn every_rule_that_is_on_is_caught_with_file_line_and_remedy_in_every_report() {
    // GitHub keeps ten annotations of a level: a few migrations at a time.
    CASES.chunks(2).for_each(caught);
}

fn caught(cases: &[(&str, &str)]) {
    let project = project::with(&[("mlops.yml", CONFIG)]);
    let subject = |i: usize, rule: &str| format!("{:04}_{}", i + 1, rule.replace('-', "_"));
    for (i, (rule, text)) in cases.iter().enumerate() {
        project.write(&format!("m/{}.up.sql", subject(i, rule)), &format!("{text}\n"));
    }
    // What is not there yet, or empty, would be a note. That the server refuses some of them comes after what is said here.
    let db = Db::new();
    db.sql("create table t (a text); create index t_a_idx on t (a); insert into t values ('x')");
    let file = |name: &str| project.path().join(name).display().to_string();
    let run = Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).env("GITHUB_ACTIONS", "true");
    let github = run.env("GITHUB_STEP_SUMMARY", &file("summary.md")).env("GITHUB_OUTPUT", &file("output.txt")).run();
    let report = project.report();
    let outcomes: Vec<&Json> =
        report["stages"].as_array().expect("stages").iter().flat_map(|s| s["outcomes"].as_array().expect("outcomes")).collect();
    let junit = project.read("mlops-out/junit.xml");
    let sarif: Json = serde_json::from_str(&project.read("mlops-out/results.sarif")).expect("SARIF");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    for (i, (rule, _)) in cases.iter().enumerate() {
        let (subject, file) = (subject(i, rule), format!("m/{}.up.sql", subject(i, rule)));
        let found = outcomes.iter().find(|o| o["subject"] == subject.as_str() && o["name"] == *rule);
        let Some(outcome) = found else { panic!("{rule} is not found in {file}") };
        let remedy = outcome["remedy"].as_str().unwrap_or_else(|| panic!("{rule} has no remedy"));
        assert!(remedy.len() > 10, "{rule}: {remedy}");
        let line = outcome["location"]["line"].as_u64().expect("line");
        assert_eq!(outcome["location"]["file"], file.as_str());
        let first = remedy.lines().next().expect("line");
        assert!(github.out.contains(&format!("{file}:{line}")) && github.out.contains(first), "{rule}: console");
        let annotation =
            github.out.lines().find(|l| l.starts_with(&format!("::warning file={file},line={line},")) && l.contains(&format!(" {rule}::")));
        assert!(annotation.is_some_and(|l| l.contains(&format!("→ {}", first.replace('%', "%25")))), "{rule}: {annotation:?}");
        let case = junit.split("<testcase ").find(|case| case.contains(&format!("name=\"{rule}\" classname=\"migrate.{subject}\""))).expect(rule);
        assert!(case.contains(&format!("file=\"{file}\" line=\"{line}\"")) && case.contains(&escaped(remedy)), "{rule}: {case}");
        let at = |r: &Json| r["locations"][0]["physicalLocation"].clone();
        let result = results.iter().find(|r| r["ruleId"] == format!("migrate/{rule}") && at(r)["artifactLocation"]["uri"] == file.as_str());
        let result = result.unwrap_or_else(|| panic!("{rule} is not in the SARIF file"));
        assert_eq!(at(result)["region"]["startLine"], line);
        assert!(result["message"]["text"].as_str().expect("text").contains(remedy), "{rule}: SARIF");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;").replace('"', "&quot;")
}
