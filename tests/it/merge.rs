use std::process::Command;

use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project};

fn git(project: &Project, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]).args(args).current_dir(project.path());
    let output = command.output().expect("git");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn commit(project: &Project, what: &str) {
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "-m", what]);
}

/// A project in a repository, on a branch that begins where `main` is.
fn branched() -> Project {
    let project = project::with(&[
        ("service/mlops.yml", "version: 1\nproject: p\nmigrate: {dir: db}\n"),
        ("service/db/0001_a.up.sql", "create table a (i int);"),
    ]);
    git(&project, &["init", "-q"]);
    commit(&project, "first");
    git(&project, &["checkout", "-q", "-b", "feature"]);
    project
}

fn check(project: &Project, base: &str) -> Ended {
    Mlops::new(&project.path().join("service")).args(["migrate", "check", "--base", base]).run()
}

#[test]
fn what_a_merge_would_break_is_told_before_it() {
    let project = branched();
    check(&project, "main").expect(0).says("nothing stands in the way of a merge into main");
    git(&project, &["checkout", "-q", "main"]);
    project.write("service/db/0002_theirs.up.sql", "create table b (i int);");
    project.write("service/db/0004_last.up.sql", "create table d (i int);");
    commit(&project, "theirs");
    git(&project, &["checkout", "-q", "feature"]);
    check(&project, "main").expect(0);
    project.write("service/db/0002_mine.up.sql", "create table m (i int);");
    project.write("service/db/0003_late.up.sql", "create table l (i int);");
    project.write("service/db/0001_a.up.sql", "create table a (i int); -- a note");
    check(&project, "main")
        .expect(1)
        .says("version 0002 is taken by 0002_theirs.up.sql on the other branch: give 0002_mine.up.sql another one (the next free one is 0005)")
        .says("0003_late.up.sql is older than 0004")
        .says("0001_a.up.sql was edited after it had been applied: only comments or layout changed");
    check(&project, "origin/nowhere").expect(3).says("there is no commit `origin/nowhere` here; fetch it first (git fetch origin nowhere");
    // Under another name the folder is the same.
    git(&project, &["mv", "service/db", "service/migrations"]);
    project.replace("service/mlops.yml", "dir: db", "dir: migrations");
    check(&project, "main").expect(1).says("version 0002 is taken by 0002_theirs.up.sql").says("0001_a.up.sql was edited");
}

#[test]
fn a_shallow_clone_is_said_to_be_one() {
    let project = branched();
    project.write("service/db/0002_b.up.sql", "create table b (i int);");
    commit(&project, "mine");
    git(&project, &["checkout", "-q", "main"]);
    project.write("service/db/0003_c.up.sql", "create table c (i int);");
    commit(&project, "theirs");
    let clone = project::with(&[]);
    let from = format!("file://{}", project.path().display());
    git(&clone, &["clone", "-q", "--depth", "1", "--no-single-branch", "-b", "feature", &from, "."]);
    check(&clone, "origin/main").expect(3).says("this clone is shallow");
}
