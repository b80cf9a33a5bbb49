//! A real MLflow server of a test's own, and a way to it that can be cut at a chosen call.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::bin::peer;

pub struct Mlflow {
    /// `mlflow` or `mlflow2` of `scripts/peers.sh`.
    which: &'static str,
    folder: TempDir,
    /// Below which its paths begin.
    prefix: &'static str,
    pub port: u16,
    shell: Mutex<Option<Child>>,
}

impl Mlflow {
    pub fn new(which: &'static str) -> Self {
        Self::below(which, "")
    }

    pub fn below(which: &'static str, prefix: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let port = TcpListener::bind("127.0.0.1:0").expect("port").local_addr().expect("address").port();
        Self { which, folder, prefix, port, shell: Mutex::default() }
    }

    pub fn started(which: &'static str) -> Self {
        let server = Self::new(which);
        server.start();
        server
    }

    /// On what it has kept. A shell holds it, and ends it with this process; what it starts has sessions of its own, and its
    /// folder in common.
    pub fn start(&self) {
        let program = peer(&format!("{}/bin/mlflow", self.which));
        let dir = self.folder.path().display();
        let script = format!(
            "'{}' server --host 127.0.0.1 --port {} --backend-store-uri 'sqlite:///{dir}/m.db' --artifacts-destination '{dir}/artifacts' --workers 1 {} \
             >>'{dir}/log' 2>&1 & read -r _; \
             for try in 1 2 3; do for p in /proc/[0-9]*; do \
             [ \"${{p#/proc/}}\" = $$ ] || [ \"$(readlink $p/cwd)\" != \"$(pwd -P)\" ] || kill -KILL ${{p#/proc/}}; done; done 2>/dev/null",
            program.display(),
            self.port,
            if self.prefix.is_empty() { String::new() } else { format!("--static-prefix {}", self.prefix) },
        );
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).stdin(Stdio::piped()).process_group(0).current_dir(self.folder.path());
        // Its workers look for their interpreter in the PATH.
        let path = format!("{}:{}", program.parent().expect("bin").display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).env_remove("PYTHONPATH");
        *self.shell.lock().expect("shell") = Some(command.spawn().expect("shell"));
        let deadline = Instant::now() + Duration::from_mins(2);
        while !self.answers() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "MLflow does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let asked = write!(stream, "GET {}/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", self.prefix);
        let mut answer = String::new();
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains("OK")
    }

    /// At once, whatever it is doing.
    pub fn kill(&self) {
        if let Some(mut shell) = self.shell.lock().expect("shell").take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.prefix)
    }

    /// What MLflow's own client says, in its own interpreter.
    pub fn python(&self, script: &str) -> String {
        let mut command = Command::new(peer(&format!("{}/bin/python", self.which)));
        command.args(["-W", "ignore", "-c", script]).env("MLFLOW_TRACKING_URI", self.url()).current_dir(self.folder.path());
        let output = command.output().expect("python");
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A port that leads here, until a request holds a text: then the server is killed, before it hears of it or after it has
    /// answered.
    pub fn cut_at(self: &Arc<Self>, text: &'static str, after: bool) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let port = listener.local_addr().expect("address").port();
        let (server, armed) = (self.clone(), Arc::new(Mutex::new(true)));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, armed) = (server.clone(), armed.clone());
                std::thread::spawn(move || server.lead(client, text, after, &armed));
            }
        });
        port
    }

    fn lead(&self, client: TcpStream, text: &str, after: bool, armed: &Mutex<bool>) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.port)) else { return };
        let (mut from, mut to) = (client.try_clone().expect("socket"), server.try_clone().expect("socket"));
        let mute = Arc::new(Mutex::new(false));
        let silent = mute.clone();
        let (mut back, mut answers) = (client.try_clone().expect("socket"), server.try_clone().expect("socket"));
        let heard = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n @ 1..) = answers.read(&mut buffer) {
                // Whoever asked hears nothing before the server is gone.
                if !*silent.lock().expect("mute") && back.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            if !*silent.lock().expect("mute") {
                let _ = back.shutdown(Shutdown::Both);
            }
        });
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let head = String::from_utf8_lossy(&buffer[..n.min(400)]).into_owned();
            let hit = head.contains(text) && std::mem::take(&mut *armed.lock().expect("armed"));
            if hit {
                *mute.lock().expect("mute") = true;
                if after {
                    // It does what it is told, and its answer is lost.
                    let _ = to.write_all(&buffer[..n]);
                    std::thread::sleep(Duration::from_secs(2));
                }
                self.kill();
                break;
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
        let _ = heard.join();
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        self.kill();
    }
}
