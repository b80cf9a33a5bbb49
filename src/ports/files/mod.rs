//! Files: read with an error that names them, written whole or not at all, owned by whoever owns the workspace.

mod staged;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::staged::{Staged, StagedFolder};
use crate::names::RelPath;

const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_CLOEXEC);

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{path}: {why}")]
    Io { path: String, why: String },
    #[error("`{0}` leaves the workspace; paths are relative to mlops.yml and stay inside its folder")]
    Outside(String),
}

pub(crate) fn io(path: &Path, error: &std::io::Error) -> FileError {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    };
    FileError::Io { path: path.display().to_string(), why }
}

/// The folder of `mlops.yml`: every path in it is relative to this one and stays inside.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    /// Where files are written; elsewhere in a dry run.
    writes: PathBuf,
}

impl Workspace {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { writes: root.clone(), root }
    }

    /// The same files to read, but everything is written below another folder.
    #[must_use]
    pub fn writing_to(mut self, writes: impl Into<PathBuf>) -> Self {
        self.writes = writes.into();
        self
    }

    /// Nothing that is written will stay.
    pub fn is_dry(&self) -> bool {
        self.writes != self.root
    }

    /// A path as a reader of the repository knows it: with the folder of `mlops.yml` in front.
    pub fn shown(&self, relative: &str) -> String {
        let root = self.root.strip_prefix(".").unwrap_or(&self.root);
        root.join(relative).display().to_string()
    }

    /// The folder itself.
    pub fn path_of_folder(&self) -> PathBuf {
        if self.root.as_os_str().is_empty() { PathBuf::from(".") } else { self.root.clone() }
    }

    /// A path from the configuration.
    pub fn path(&self, relative: &str) -> Result<PathBuf, FileError> {
        let path = RelPath::parse(relative).map_err(|_| FileError::Outside(relative.into()))?;
        let joined = self.root.join(&*path);
        // A symbolic link may not lead out either; what does not exist yet is judged by its nearest parent.
        let existing = joined.ancestors().find(|p| p.exists()).unwrap_or(&self.root);
        match (existing.canonicalize(), self.root.canonicalize()) {
            (Ok(real), Ok(root)) if !real.starts_with(&root) => Err(FileError::Outside(relative.into())),
            _ => Ok(joined),
        }
    }

    pub fn read(&self, relative: &str) -> Result<Vec<u8>, FileError> {
        let path = self.path(relative)?;
        fs::read(&path).map_err(|e| io(Path::new(relative), &e))
    }

    pub fn read_text(&self, relative: &str) -> Result<String, FileError> {
        text(self.read(relative)?, relative)
    }

    /// The text of every file of a folder whose name is wanted, by name.
    pub fn read_folder(&self, relative: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, String)>, FileError> {
        let folder = self.path(relative)?;
        let mut files = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let within = fs::File::open(&folder).map_err(|e| io(Path::new(relative), &e))?;
        for entry in fs::read_dir(&folder).map_err(|e| io(Path::new(relative), &e))? {
            let entry = entry.map_err(|e| io(Path::new(relative), &e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !wanted(&name) {
                continue;
            }
            let shown = format!("{relative}/{name}");
            // Only a link can lead out of a folder that has been judged; a name in it is found sooner than a path.
            let file = match entry.file_type() {
                Ok(kind) if kind.is_file() => openat(&within, &*name, READ, Mode::empty()).map(fs::File::from).map_err(Into::into),
                Ok(kind) if kind.is_dir() => continue,
                _ => fs::File::open(self.path(&shown)?),
            };
            let content = file.and_then(|file| read_small(file, &mut buffer)).map_err(|e| io(Path::new(&shown), &e))?;
            files.push((name, text(content, &shown)?));
        }
        files.sort();
        Ok(files)
    }

    /// Whole or not at all: a temporary file beside the target, then a rename. True when the content was new.
    pub fn write(&self, relative: &str, content: &[u8]) -> Result<bool, FileError> {
        self.path(relative)?; // judged against the real folder, also when another one is written to
        write(&self.writes.join(relative), content, &self.writes)
    }

    /// A new file that will be there when it is whole.
    pub fn stage(&self, relative: &str) -> Result<Staged, FileError> {
        Staged::file(&self.written(relative)?, &self.writes)
    }

    /// A new folder that will be there, instead of the old one, when it is whole.
    pub fn stage_folder(&self, relative: &str) -> Result<StagedFolder, FileError> {
        StagedFolder::new(&self.written(relative)?, &self.writes)
    }

    /// The folder in which something will be written; it is made.
    pub fn folder_of(&self, relative: &str) -> Result<PathBuf, FileError> {
        let path = self.written(relative.trim_end_matches('/'))?;
        let folder = path.parent().unwrap_or(&self.writes).to_owned();
        Owner::of(&self.writes).make_dirs(&folder)?;
        Ok(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder })
    }

    /// Where something that is written will lie.
    pub fn written(&self, relative: &str) -> Result<PathBuf, FileError> {
        self.path(relative)?;
        Ok(self.writes.join(relative))
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, relative: &str) -> Result<(), FileError> {
        match fs::remove_file(self.path(relative)?) {
            Err(e) if ![std::io::ErrorKind::NotFound, std::io::ErrorKind::NotADirectory].contains(&e.kind()) => Err(io(Path::new(relative), &e)),
            _ => Ok(()),
        }
    }

    /// What a file is, or every file of a folder.
    pub fn contents(&self, relative: &str) -> Result<Contents, FileError> {
        let path = self.path(relative)?;
        if !path.is_dir() {
            return Ok(Contents::File(Content::of(&path, String::new())?));
        }
        let mut paths = Vec::new();
        walk(&path, &mut paths)?;
        let mut files = Vec::new();
        for file in paths {
            let Some(inside) = file.strip_prefix(&path).unwrap_or(&file).to_str().map(str::to_owned) else {
                return Err(FileError::Io { path: file.display().to_string(), why: "its name is not UTF-8".into() });
            };
            if inside.contains(['\n', '\\']) {
                return Err(FileError::Io { path: inside, why: "a line feed or `\\` in a file name".into() });
            }
            // A link in it may lead out, as one in its name may.
            self.path(&format!("{}/{inside}", relative.trim_end_matches('/')))?;
            files.push(Content::of(&file, inside)?);
        }
        if files.is_empty() {
            return Err(FileError::Io { path: relative.into(), why: "there is no file in this folder".into() });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Contents::Folder(files))
    }
}

/// A file by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Inside its folder.
    pub path: String,
    pub sha256: String,
    pub bytes: u64,
}

impl Content {
    fn of(file: &Path, path: String) -> Result<Self, FileError> {
        let kind = fs::metadata(file).map_err(|e| io(file, &e))?.file_type();
        if !kind.is_file() {
            // A pipe would wait for a writer for ever.
            return Err(FileError::Io { path: file.display().to_string(), why: "it is no file".into() });
        }
        let open = fs::File::open(file).map_err(|e| io(file, &e))?;
        let bytes = open.metadata().map_err(|e| io(file, &e))?.len();
        Ok(Self { path, sha256: digest_of::<Sha256>(open).map_err(|e| io(file, &e))?, bytes })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    File(Content),
    /// By their paths.
    Folder(Vec<Content>),
}

impl Contents {
    /// Every file's digest and path, as `sha256sum` prints them; its own digest is the folder's.
    pub fn manifest(files: &[Content]) -> String {
        files.iter().map(|file| format!("{}  {}\n", file.sha256, file.path)).collect()
    }

    pub fn sha256(&self) -> String {
        match self {
            Self::File(file) => file.sha256.clone(),
            Self::Folder(files) => sha256(Self::manifest(files).as_bytes()),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.files().iter().map(|file| file.bytes).sum()
    }

    pub fn files(&self) -> &[Content] {
        match self {
            Self::File(file) => std::slice::from_ref(file),
            Self::Folder(files) => files,
        }
    }
}

/// In as few calls as may be, since a folder can hold a thousand files: a read that leaves room in the buffer has met the
/// file's end.
fn read_small(mut file: fs::File, buffer: &mut [u8]) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let n = file.read(buffer)?;
        content.extend_from_slice(&buffer[..n]);
        if n < buffer.len() {
            return Ok(content);
        }
    }
}

/// A byte order mark is a syntax error to the server.
fn text(content: Vec<u8>, path: &str) -> Result<String, FileError> {
    let text = String::from_utf8(content).map_err(|_| FileError::Io { path: path.into(), why: "it is not UTF-8 text".into() })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Every file below a folder.
pub fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let entries = fs::read_dir(dir).map_err(|e| io(dir, &e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Writes to an absolute path; folders are made, and everything belongs to the owner of `root`.
pub fn write(path: &Path, content: &[u8], root: &Path) -> Result<bool, FileError> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let staged = Staged::file(path, root)?;
    staged.open().write_all(content).map_err(|e| io(path, &e))?;
    staged.commit()?;
    Ok(true)
}

/// Whose everything is that we write: of the one who owns the workspace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner(Option<(u32, u32)>);

impl Owner {
    pub(crate) fn of(root: &Path) -> Self {
        Self(fs::metadata(root).ok().map(|m| (m.uid(), m.gid())))
    }

    pub(crate) fn make_dirs(self, dir: &Path) -> Result<(), FileError> {
        if dir.as_os_str().is_empty() || dir.is_dir() {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.make_dirs(parent)?;
        }
        match fs::create_dir(dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(dir, &e)),
            _ => self.give(dir),
        }
        Ok(())
    }

    /// Root inside a container must not leave files that the runner's next checkout cannot remove.
    pub(crate) fn give(self, path: &Path) {
        if let Some((uid, gid)) = self.0.filter(|_| nix::unistd::Uid::effective().is_root()) {
            let _ = chown(path, Some(uid), Some(gid));
        }
    }
}

/// Adds to a file that a CI runner gave us (outputs, step summary).
pub fn append(path: &Path, text: &str) -> Result<(), FileError> {
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| io(path, &e))
}

pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// Of a stream, a piece at a time.
pub fn digest_of<D: Digest>(mut input: impl std::io::Read) -> std::io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_workspace() {
        let dir = tempfile::tempdir().expect("dir");
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).expect("link");
        let workspace = Workspace::new(dir.path());
        assert!(workspace.path("a/b.csv").is_ok() && workspace.path("a/../b").is_ok());
        for outside in ["../x", "/etc/passwd", "a/../../x", "link/passwd"] {
            assert!(workspace.path(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn writing_says_whether_anything_changed_and_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().expect("dir");
        let workspace = Workspace::new(dir.path());
        assert!(workspace.write("a/b.txt", b"1").expect("new"));
        assert!(!workspace.write("a/b.txt", b"1").expect("same"));
        assert!(workspace.write("a/b.txt", b"2").expect("other"));
        assert_eq!(workspace.read_folder("a", |_| true).expect("folder").len(), 1);
    }

    #[test]
    fn a_folders_digest_is_that_of_what_sha256sum_prints() {
        let dir = tempfile::tempdir().expect("dir");
        let workspace = Workspace::new(dir.path());
        for (file, text) in [("m/a/x", "1"), ("m/a.b", "2"), ("m/b", "3")] {
            workspace.write(file, text.as_bytes()).expect("file");
        }
        let first = workspace.contents("m").expect("contents");
        let script = "cd m && find . -type f | sed 's|^[.]/||' | LC_ALL=C sort | xargs sha256sum | sha256sum";
        let sum = std::process::Command::new("sh").args(["-c", script]).current_dir(dir.path()).output().expect("sh");
        assert_eq!(String::from_utf8_lossy(&sum.stdout).split(' ').next(), Some(&*first.sha256()));
        fs::rename(dir.path().join("m/b"), dir.path().join("m/c")).expect("rename");
        let second = workspace.contents("m").expect("contents");
        assert_ne!(first.sha256(), second.sha256());
        assert_eq!((first.bytes(), second.bytes()), (3, 3));
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("m/link")).expect("link");
        assert!(workspace.contents("m").is_err(), "a link leads out");
    }
}
