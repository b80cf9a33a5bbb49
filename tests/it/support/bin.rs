//! Runs the program as a child, without the environment of the machine that tests it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

/// A program of `scripts/peers.sh`.
pub fn peer(program: &str) -> PathBuf {
    let folder = std::env::var("MLOPS_PEERS")
        .map_or_else(|_| PathBuf::from(std::env::var("HOME").expect("home")).join(".cache/mlops-action/tools/peers"), PathBuf::from);
    let path = folder.join(program);
    assert!(path.exists(), "{}: `make test` installs it", path.display());
    path
}

/// A call of `mlops`.
pub struct Mlops(Command);

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Mlops {
    /// In a project's folder. Nothing of `CI`, `GITHUB_*`, `MLOPS_*` or `PG*` reaches the child.
    pub fn new(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mlops"));
        command.current_dir(folder).env_clear().env("PATH", path()).env("TMPDIR", std::env::temp_dir());
        Self(command)
    }

    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    pub fn command(self) -> Command {
        self.0
    }

    pub fn run(mut self) -> Ended {
        Ended::from(self.0.output().expect("the program starts"))
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("utf-8"),
            err: String::from_utf8(output.stderr).expect("utf-8"),
        }
    }
}

impl Ended {
    /// Fails the test with everything the program said.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is not in\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> Json {
        serde_json::from_str(&self.out).expect("standard output is JSON")
    }
}

fn path() -> String {
    std::env::var("PATH").unwrap_or_default()
}
