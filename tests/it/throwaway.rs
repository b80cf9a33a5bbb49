use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project};

/// A folder in which the private server's user can search.
fn base() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("tw").tempdir_in("/tmp").expect("folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("mode");
    dir
}

fn slow() -> Project {
    let config = "version: 1\nproject: p\nmigrate: {dir: m}\n";
    project::with(&[("mlops.yml", config), ("m/1_slow.up.sql", "select pg_sleep(60);")])
}

fn start(project: &Project, base: &Path) -> Child {
    let mut command = Mlops::new(project.path()).args(["run"]).env("TMPDIR", &base.display().to_string()).command();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    wait(|| servers(base) == 1 && sleeping(base), "the slow migration to start");
    child
}

fn servers(base: &Path) -> usize {
    fs::read_dir(base).expect("base").filter_map(Result::ok).filter(|e| e.path().join("data/postmaster.pid").exists()).count()
}

/// Whether a postmaster with this data folder is alive.
fn alive(base: &Path) -> bool {
    let ps = Command::new("ps").args(["-eo", "args"]).output().expect("ps");
    String::from_utf8_lossy(&ps.stdout).lines().any(|line| line.contains("postgres") && line.contains(&base.display().to_string()))
}

fn sleeping(base: &Path) -> bool {
    let Some(dir) = fs::read_dir(base).expect("base").find_map(Result::ok) else { return false };
    let mut psql = Command::new("psql");
    psql.args(["-XAtU", "postgres", "-h"]).arg(dir.path()).args([
        "-d",
        "postgres",
        "-c",
        "select count(*) from pg_stat_activity where query like '%pg_sleep%'",
    ]);
    psql.output().is_ok_and(|o| String::from_utf8_lossy(&o.stdout).trim() == "2")
}

#[track_caller]
fn wait(condition: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_signal_ends_the_run_and_its_server() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let (project, base) = (slow(), base());
        let child = start(&project, base.path());
        kill(Pid::from_raw(i32::try_from(child.id()).expect("pid")), signal).expect("signal");
        Ended::from(child.wait_with_output().expect("ends")).expect(code);
        assert!(!alive(base.path()), "the server is still there after {signal}");
        assert_eq!(fs::read_dir(base.path()).expect("base").count(), 0, "something was left behind after {signal}");
        assert!(!project.has("mlops-out"), "an interrupted run writes no report");
    }
}

#[test]
fn what_a_killed_run_leaves_is_swept_by_the_next() {
    let (project, base) = (slow(), base());
    let mut child = start(&project, base.path());
    child.kill().expect("kill");
    child.wait().expect("ends");
    assert!(alive(base.path()), "nothing can stop its server when a run is killed");
    project.write("m/1_slow.up.sql", "select 1;");
    let run = || Mlops::new(project.path()).args(["run"]).env("TMPDIR", &base.path().display().to_string()).run();
    run().expect(0).says("removing the throwaway server of a killed run");
    assert!(!alive(base.path()));
    assert_eq!(fs::read_dir(base.path()).expect("base").count(), 0);
}

#[test]
fn two_runs_at_once_do_not_sweep_each_other() {
    let (slow, quick, base) = (slow(), slow(), base());
    let child = start(&slow, base.path());
    quick.write("m/1_slow.up.sql", "select 1;");
    Mlops::new(quick.path()).args(["run"]).env("TMPDIR", &base.path().display().to_string()).run().expect(0);
    assert!(sleeping(base.path()), "the other run's server is gone");
    kill(Pid::from_raw(i32::try_from(child.id()).expect("pid")), Signal::SIGTERM).expect("signal");
    Ended::from(child.wait_with_output().expect("ends")).expect(143);
}

#[test]
fn a_folder_with_a_blank_and_a_quote_is_no_obstacle() {
    let (project, base) = (slow(), base());
    let odd = base.path().join("it's a b");
    fs::create_dir(&odd).expect("folder");
    fs::set_permissions(&odd, fs::Permissions::from_mode(0o777)).expect("mode");
    project.write("m/1_slow.up.sql", "select 1;");
    Mlops::new(project.path()).args(["run"]).env("TMPDIR", &odd.display().to_string()).run().expect(0);
}

#[test]
fn missing_binaries_are_exit_3_with_what_to_do() {
    let project = slow();
    let run = Mlops::new(project.path()).args(["run", "--postgres-bin", "/nowhere"]).run();
    run.expect(3).says("no Postgres server binaries were found (looked in /nowhere)").says("apt-get install postgresql").says("set database.url");
}

#[test]
fn a_project_without_a_database_starts_none() {
    let config = "version: 1\nproject: p\ndeploy: {name: x, image: r/x:1}\n";
    let project = project::with(&[("mlops.yml", config)]);
    Mlops::new(project.path()).args(["run", "--postgres-bin", "/nowhere"]).run().expect(0);
    assert!(project.has("mlops-out/deploy/manifests/deployment.yaml"));
}
