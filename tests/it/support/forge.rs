//! The fake of GitHub's and GitLab's APIs, `tests/fakes/forge.py`, as a child.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use super::bin::Mlops;
use super::project::Project;

pub struct Forge {
    child: Child,
    pub port: u16,
}

impl Forge {
    pub fn start() -> Self {
        let script = super::root().join("tests/fakes/forge.py");
        let mut child = Command::new("python3").arg(script).stdout(Stdio::piped()).spawn().expect("python3; `make test` installs it");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("port");
        Self { child, port: line.trim().parse().expect("port") }
    }

    pub fn github(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A run of GitHub Actions on pull request 7 of `o/r`, with the runner's files in the project.
    pub fn as_github(&self, run: Mlops, project: &Project) -> Mlops {
        let file = |name: &str| project.path().join(name).display().to_string();
        run.env("GITHUB_ACTIONS", "true")
            .env("GITHUB_REPOSITORY", "o/r")
            .env("GITHUB_EVENT_PATH", &file("event.json"))
            .env("GITHUB_API_URL", &self.github())
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_RUN_ID", "100")
            .env("GITHUB_RUN_ATTEMPT", "1")
            .env("GITHUB_OUTPUT", &file("output.txt"))
            .env("GITHUB_STEP_SUMMARY", &file("summary.md"))
    }

    /// GitLab under a sub-path, as self-managed ones are.
    pub fn gitlab(&self) -> String {
        format!("http://127.0.0.1:{}/gitlab/api/v4", self.port)
    }

    /// What the fake has seen: `comments`, `notes` and `log`.
    pub fn state(&self) -> Json {
        self.call("GET", "/_state", None)
    }

    /// As `tests/fakes/forge.py` says.
    pub fn control(&self, what: &Json) {
        self.call("POST", "/_control", Some(what));
    }

    /// Calls of a method, by their paths.
    pub fn calls(&self, method: &str) -> Vec<String> {
        let state = self.state();
        let log = state["log"].as_array().expect("log").iter().filter(|c| c["method"] == method);
        log.map(|c| c["path"].as_str().expect("path").to_owned()).collect()
    }

    fn call(&self, method: &str, path: &str, body: Option<&Json>) -> Json {
        let body = body.map(Json::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("fake");
        write!(stream, "{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("body");
        serde_json::from_str(body).expect("JSON")
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
