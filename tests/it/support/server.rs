//! One server for all tests of the process, a database for each test.
//!
//! It asks for a password, so that a wrong one can be tested. A shell holds it: when this process ends, however it
//! ends, the shell's standard input closes, and it stops the server and removes its folder.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

pub const PASSWORD: &str = "s3cret-Pass/word";
const ENCODED: &str = "s3cret-Pass%2Fword";

struct Server {
    port: u16,
    bin: PathBuf,
    /// Its standard input closes with this process.
    _shell: Child,
}

/// A database of its own.
pub struct Db {
    name: String,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

fn server() -> &'static Server {
    SERVER.get_or_init(start)
}

fn bin() -> PathBuf {
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok).map(|e| e.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all: Vec<PathBuf> = packaged.chain(std::env::split_paths(&path)).collect();
    let found = all.iter().find(|dir| ["initdb", "psql"].iter().all(|tool| dir.join(tool).is_file()));
    found.expect("Postgres' binaries; `make test` installs them").clone()
}

fn start() -> Server {
    let bin = bin();
    let dir = tempfile::Builder::new().prefix("mlops-it-").tempdir().expect("folder").keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("mode");
    fs::write(dir.join("pw"), PASSWORD).expect("password");
    let user = nix::unistd::Uid::effective().is_root().then(|| nix::unistd::User::from_name("postgres").expect("users").expect("user postgres"));
    let as_user = |command: &mut Command| {
        command.current_dir("/");
        if let Some(user) = &user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    };
    if let Some(user) = &user {
        for path in [dir.clone(), dir.join("pw")] {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("owner");
        }
    }
    let mut initdb = Command::new(bin.join("initdb"));
    initdb.arg("-D").arg(dir.join("data")).arg(format!("--pwfile={}", dir.join("pw").display()));
    initdb.args(["-U", "app", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"]).stdout(Stdio::null());
    as_user(&mut initdb);
    assert!(initdb.status().expect("initdb").success());
    let port = TcpListener::bind("127.0.0.1:0").expect("port").local_addr().expect("address").port();
    let script = format!(
        "'{}/postgres' -D '{dir}/data' -k '{dir}' -p {port} -c listen_addresses=127.0.0.1 -c shared_preload_libraries=pg_stat_statements -c fsync=off -c max_connections=200 \
         -c synchronous_commit=off -c full_page_writes=off >'{dir}/log' 2>&1 & pid=$!; read -r _; kill -INT $pid; wait $pid; rm -rf '{dir}'",
        bin.display(),
        dir = dir.display(),
    );
    let mut shell = Command::new("sh");
    // Its own group: Ctrl-C ends the tests, and then the shell the server.
    shell.arg("-c").arg(script).stdin(Stdio::piped()).process_group(0);
    as_user(&mut shell);
    let server = Server { port, bin, _shell: shell.spawn().expect("shell") };
    let deadline = Instant::now() + Duration::from_mins(1);
    while !psql(&server, "postgres", "select 1").1 {
        assert!(Instant::now() < deadline, "the test server does not answer: {}", fs::read_to_string(dir.join("log")).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

fn psql(server: &Server, database: &str, sql: &str) -> (String, bool) {
    let mut command = Command::new(server.bin.join("psql"));
    command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "app", "-d", database, "-p", &server.port.to_string(), "-c", sql]);
    let output = command.env("PGPASSWORD", PASSWORD).output().expect("psql");
    let text = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).trim().to_owned();
    (text, output.status.success())
}

impl Db {
    /// An empty database.
    pub fn new() -> Self {
        Self::from("template0")
    }

    /// A database with the flights in it, copied from one that was loaded once.
    pub fn flights() -> Self {
        static LOADED: OnceLock<String> = OnceLock::new();
        let template = LOADED.get_or_init(|| {
            let db = Self::new();
            let folder = super::project::flights();
            let ended = super::bin::Mlops::new(folder.path()).args(["run", "--stages", "migrate,seed"]).env("DATABASE_URL", &db.url()).run();
            ended.expect(0);
            db.name
        });
        Self::from(template)
    }

    /// A copy; nobody may be connected to this one.
    pub fn copy(&self) -> Self {
        Self::from(&self.name)
    }

    fn from(template: &str) -> Self {
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (text, ok) = psql(server(), "postgres", &format!("create database {name} template {template}"));
        assert!(ok, "{text}");
        Self { name }
    }

    pub fn url(&self) -> String {
        self.url_with(ENCODED)
    }

    pub fn url_with(&self, password: &str) -> String {
        format!("postgres://app:{password}@127.0.0.1:{}/{}", server().port, self.name)
    }

    /// By another port.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://app:{ENCODED}@127.0.0.1:{port}/{}", self.name)
    }

    /// What psql prints for a query.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        let (text, ok) = psql(server(), &self.name, sql);
        assert!(ok, "{text}");
        text
    }

    /// The same for what may be refused.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let (text, ok) = psql(server(), &self.name, sql);
        if ok { Ok(text) } else { Err(text) }
    }

    pub fn has_table(&self, name: &str) -> bool {
        self.sql(&format!("select to_regclass('{name}') is not null")) == "t"
    }
}

/// A folder's files, hidden ones too, with their contents.
pub fn files_below(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    for path in entries.map(|e| e.path()) {
        if path.is_dir() {
            all.extend(files_below(&path));
        } else {
            all.push((path.clone(), fs::read(&path).expect("file")));
        }
    }
    all
}

/// Holds an exclusive lock on a table for some seconds.
pub fn hold_lock(database: &str, table: &str, seconds: u32) {
    let (text, ok) = psql(server(), database, &format!("begin; lock table {table}; select pg_sleep({seconds}); commit"));
    assert!(ok, "{text}");
}

/// A port on which nobody answers until some time has passed; then it leads to the server.
pub fn late_port(delay: Duration) -> u16 {
    let reserved = TcpListener::bind("127.0.0.1:0").expect("port");
    let port = reserved.local_addr().expect("address").port();
    drop(reserved);
    let server = server().port;
    std::thread::spawn(move || {
        std::thread::sleep(delay);
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is still free");
        for client in listener.incoming().map_while(Result::ok) {
            let upstream = TcpStream::connect(("127.0.0.1", server)).expect("server");
            for (mut from, mut to) in [(client.try_clone().expect("socket"), upstream.try_clone().expect("socket")), (upstream, client)] {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    port
}

/// A way to the server that writes down who says what.
pub struct Counting {
    pub port: u16,
    said: Arc<Mutex<Vec<(bool, String)>>>,
}

/// See `Counting`.
pub fn counting_port() -> Counting {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let port = listener.local_addr().expect("address").port();
    let said = Arc::<Mutex<Vec<(bool, String)>>>::default();
    let all = said.clone();
    let server = server().port;
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let upstream = TcpStream::connect(("127.0.0.1", server)).expect("server");
            let both = [(true, client.try_clone().expect("socket"), upstream.try_clone().expect("socket")), (false, upstream, client)];
            for (ours, mut from, mut to) in both {
                let all = all.clone();
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 1 << 16];
                    while let Ok(n @ 1..) = from.read(&mut buffer) {
                        all.lock().expect("log").push((ours, String::from_utf8_lossy(&buffer[..n]).into_owned()));
                        if to.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    Counting { port, said }
}

impl Counting {
    /// How often the client has waited for the server, from the first message with one text to the answer to the last with
    /// another.
    pub fn round_trips(&self, first: &str, last: &str) -> usize {
        let said = self.said.lock().expect("log");
        let from = said.iter().position(|(ours, text)| *ours && text.contains(first)).expect("the first message");
        let to = said.iter().rposition(|(ours, text)| *ours && text.contains(last)).expect("the last message");
        let turns = said[from..=to].windows(2).filter(|pair| pair[0].0 && !pair[1].0).count();
        turns + 1
    }
}
