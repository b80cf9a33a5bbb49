//! A private server from the Postgres binaries on this machine, gone when the run ends.
//!
//! It listens on a Unix socket in a directory of its own, is not durable, and is stopped by its guard: at the end, on
//! Ctrl-C and SIGTERM, after a panic. What a killed run leaves behind is swept by the next one, which can take the
//! lock that the dead run held.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User};

use crate::secret::Secret;

const PREFIX: &str = "mlops-pg-";

#[derive(Debug, thiserror::Error)]
pub enum ThrowawayError {
    #[error(
        "no database.url is given and no Postgres server binaries were found ({searched}); \
         install them (Debian: apt-get install postgresql, macOS: brew install postgresql), \
         name their folder in MLOPS_POSTGRES_BIN, or set database.url"
    )]
    NoBinaries { searched: String },
    #[error("the throwaway Postgres server: {doing} failed: {why}")]
    Failed { doing: String, why: String },
}

/// A running private server; dropping it stops and removes it.
pub struct Throwaway {
    dir: PathBuf,
    server: Child,
    version: String,
    _lock: File,
}

impl Throwaway {
    /// `bin` overrides the search; `path` is the `PATH` to look in; `base` holds the private directory.
    pub fn start(bin: Option<&Path>, path: &str, base: &Path) -> Result<Self, ThrowawayError> {
        let bin = find_binaries(bin, path)?;
        sweep(base, &bin);
        let user = unprivileged()?;
        let (dir, lock) = private_dir(base, user.as_ref())?;
        let guard = RemoveOnDrop(Some(dir.clone()));
        initdb(&bin, &dir, user.as_ref())?;
        let server = launch(&bin, &dir, user.as_ref())?;
        guard.keep();
        let mut throwaway = Self { dir, server, version: version(&bin), _lock: lock };
        throwaway.wait_until_ready()?;
        Ok(throwaway)
    }

    pub fn url(&self) -> Secret {
        let quoted = self.dir.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
        Secret::new(format!("host='{quoted}' user=postgres dbname=postgres"))
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    fn wait_until_ready(&mut self) -> Result<(), ThrowawayError> {
        let socket = self.dir.join(".s.PGSQL.5432");
        let deadline = Instant::now() + Duration::from_mins(1);
        while Instant::now() < deadline {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(failed("starting", format!("{status}: {}", last_lines(&self.dir.join("log")))));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(failed("starting", format!("no answer in 60 s: {}", last_lines(&self.dir.join("log")))))
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // SIGINT is Postgres' fast shutdown: sessions are cut, the server ends.
        let pid = Pid::from_raw(i32::try_from(self.server.id()).unwrap_or(0));
        let _ = kill(pid, Signal::SIGINT);
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.server.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

struct RemoveOnDrop(Option<PathBuf>);

impl RemoveOnDrop {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        if let Some(dir) = &self.0 {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

fn failed(doing: &str, why: impl ToString) -> ThrowawayError {
    ThrowawayError::Failed { doing: doing.into(), why: why.to_string() }
}

/// PATH first, then where the packagers put them, the newest version first.
fn find_binaries(bin: Option<&Path>, path: &str) -> Result<PathBuf, ThrowawayError> {
    let named: Vec<PathBuf> = match bin {
        Some(dir) => vec![dir.to_owned()],
        None => std::env::split_paths(path).chain(packaged()).collect(),
    };
    let whole = |dir: &PathBuf| ["initdb", "postgres"].iter().all(|tool| dir.join(tool).is_file());
    named.iter().find(|dir| whole(dir)).cloned().ok_or_else(|| ThrowawayError::NoBinaries {
        searched: bin.map_or_else(
            || "looked in PATH, /usr/lib/postgresql, /usr/pgsql-*, Homebrew and Postgres.app".into(),
            |dir| format!("looked in {}", dir.display()),
        ),
    })
}

fn packaged() -> Vec<PathBuf> {
    // (parent folder, prefix of the versioned folder, the rest)
    let layouts = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ];
    layouts.iter().flat_map(|(parent, prefix, rest)| newest_first(Path::new(parent), prefix, rest)).collect()
}

fn newest_first(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_start_matches('@');
            let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
            Some((digits.parse().unwrap_or(0), entry.path().join(rest)))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

/// The server refuses root, and initdb wants a user that the system knows.
fn unprivileged() -> Result<Option<User>, ThrowawayError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Ok(Some(user)) = User::from_name(name) {
            return Ok(Some(user));
        }
    }
    Err(failed("dropping root", "neither a user `postgres` nor `nobody` exists"))
}

fn private_dir(base: &Path, user: Option<&User>) -> Result<(PathBuf, File), ThrowawayError> {
    let made = tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(0o700)).tempdir_in(base);
    let dir = made.map_err(|e| failed(&format!("making a directory in {}", base.display()), e))?.keep();
    let guard = RemoveOnDrop(Some(dir.clone()));
    let steps = || -> std::io::Result<File> {
        // Locked before it gets its name: a sweeping run never sees it unlocked.
        let lock = File::create(dir.join("lock.new"))?;
        lock.try_lock().map_err(std::io::Error::from)?;
        fs::rename(dir.join("lock.new"), dir.join("lock"))?;
        if let Some(user) = user {
            chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        Ok(lock)
    };
    let lock = steps().map_err(|e| failed(&format!("preparing {}", dir.display()), e))?;
    // A Unix socket's path has room for 107 bytes.
    if dir.join(".s.PGSQL.5432").as_os_str().len() > 107 {
        return Err(failed("preparing the socket", format!("{} is too long for a socket; set TMPDIR to a shorter folder", dir.display())));
    }
    guard.keep();
    Ok((dir, lock))
}

fn tool(bin: &Path, name: &str, dir: &Path, user: Option<&User>) -> Command {
    let mut command = Command::new(bin.join(name));
    // A clean environment: PGDATA or PGOPTIONS of the caller must not reach the private server.
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", path_with(bin)).current_dir("/");
    command.env("HOME", dir).stdin(Stdio::null());
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command.envs(name_for_nobody(dir));
    command
}

/// `docker run --user 12345`: the server's tools ask the system for a name that it does not have. A wrapper of the system's
/// library gives one, where it is installed.
fn name_for_nobody(dir: &Path) -> Vec<(&'static str, OsString)> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    if !matches!(User::from_uid(uid), Ok(None)) {
        return vec![];
    }
    let Some(wrapper) = folders_of("/usr/lib").into_iter().map(|lib| lib.join("libnss_wrapper.so")).find(|path| path.is_file()) else {
        return vec![];
    };
    let (passwd, group) = (dir.join("passwd"), dir.join("group"));
    let written =
        fs::write(&passwd, format!("mlops:x:{uid}:{gid}::{}:/bin/false\n", dir.display())).and(fs::write(&group, format!("mlops:x:{gid}:\n")));
    match written {
        Ok(()) => vec![("LD_PRELOAD", wrapper.into()), ("NSS_WRAPPER_PASSWD", passwd.into()), ("NSS_WRAPPER_GROUP", group.into())],
        Err(_) => vec![],
    }
}

fn folders_of(dir: &str) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn path_with(bin: &Path) -> OsString {
    let mut path = OsString::from(bin);
    path.push(":/usr/local/bin:/usr/bin:/bin");
    path
}

fn initdb(bin: &Path, dir: &Path, user: Option<&User>) -> Result<(), ThrowawayError> {
    let mut command = tool(bin, "initdb", dir, user);
    command.arg("-D").arg(dir.join("data"));
    command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]);
    let output = command.output().map_err(|e| failed("running initdb", e))?;
    if output.status.success() { Ok(()) } else { Err(failed("initdb", String::from_utf8_lossy(&output.stderr).trim())) }
}

fn launch(bin: &Path, dir: &Path, user: Option<&User>) -> Result<Child, ThrowawayError> {
    let log = || File::create(dir.join("log")).map_err(|e| failed("opening its log", e));
    let mut command = tool(bin, "postgres", dir, user);
    command.arg("-D").arg(dir.join("data")).arg("-k").arg(dir);
    for setting in [
        "listen_addresses=",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=50",
        "shared_buffers=64MB",
        "timezone=UTC",
        "log_timezone=UTC",
    ] {
        command.arg("-c").arg(setting);
    }
    // Its own process group: Ctrl-C reaches us, and we stop the server in our order.
    command.process_group(0).stdout(Stdio::null()).stderr(log()?);
    command.spawn().map_err(|e| failed("starting", e))
}

fn version(bin: &Path) -> String {
    let output = Command::new(bin.join("postgres")).arg("--version").output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().nth(2).unwrap_or("?").to_owned()
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}

/// Removes what runs that were killed left behind.
fn sweep(base: &Path, bin: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.filter_map(Result::ok) {
        let dir = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(lock) = File::open(dir.join("lock")) else {
            // Killed before it had a lock; a run that is just starting has one within milliseconds.
            let old = entry.metadata().and_then(|m| m.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > Duration::from_mins(10)));
            if old {
                let _ = fs::remove_dir_all(&dir);
            }
            continue;
        };
        if lock.try_lock().is_err() {
            continue; // its run is alive
        }
        tracing::info!(dir = %dir.display(), "removing the throwaway server of a killed run");
        let owner = fs::metadata(&dir).ok().and_then(|m| User::from_uid(Uid::from_raw(std::os::unix::fs::MetadataExt::uid(&m))).ok().flatten());
        let user = owner.filter(|_| Uid::effective().is_root());
        let mut stop = tool(bin, "pg_ctl", &dir, user.as_ref());
        stop.args(["stop", "-m", "immediate", "-w", "-t", "10", "-D"]).arg(dir.join("data"));
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&dir);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_panic_stops_the_server_and_removes_its_folder() {
        let base = tempfile::Builder::new().prefix("tw").tempdir_in("/tmp").expect("folder");
        fs::set_permissions(base.path(), Permissions::from_mode(0o777)).expect("mode");
        let path = base.path().to_owned();
        let panicked = std::panic::catch_unwind(move || {
            let server = Throwaway::start(None, "", &path).expect("a server");
            assert!(server.dir.join(".s.PGSQL.5432").exists());
            panic!("the run has a bug");
        });
        assert!(panicked.is_err());
        assert_eq!(fs::read_dir(base.path()).expect("base").count(), 0);
    }

    #[test]
    fn an_older_server_of_the_packager_is_not_preferred() {
        let folder = tempfile::tempdir().expect("folder");
        for version in ["pgsql-9.6", "pgsql-17", "pgsql-15", "other"] {
            fs::create_dir(folder.path().join(version)).expect("version");
        }
        let expected = ["pgsql-17/bin", "pgsql-15/bin", "pgsql-9.6/bin"].map(|dir| folder.path().join(dir));
        assert_eq!(newest_first(folder.path(), "pgsql-", "bin"), expected);
    }
}
