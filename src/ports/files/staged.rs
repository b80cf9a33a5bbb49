//! What is being written: beside its target, under another name, until it is whole.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tempfile::{NamedTempFile, TempDir};

use super::{FileError, Owner, io};

/// Gone when it is dropped before its end.
pub struct Staged {
    temp: NamedTempFile,
    target: PathBuf,
    owner: Owner,
    mode: u32,
}

impl Staged {
    /// Folders are made, and everything belongs to the owner of `root`.
    pub fn file(target: &Path, root: &Path) -> Result<Self, FileError> {
        let owner = Owner::of(root);
        let folder = target.parent().unwrap_or(root);
        owner.make_dirs(folder)?;
        sweep(folder);
        let temp = builder().tempfile_in(folder).map_err(|e| io(folder, &e))?;
        let _ = temp.as_file().try_lock();
        Ok(Self { temp, target: target.into(), owner, mode: 0o644 })
    }

    #[must_use]
    pub fn with_mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub fn open(&self) -> &fs::File {
        self.temp.as_file()
    }

    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// Whole, and on the disk, before it is there.
    pub fn commit_synced(self) -> Result<(), FileError> {
        self.open().sync_all().map_err(|e| io(&self.target, &e))?;
        self.commit()
    }

    pub fn commit(self) -> Result<(), FileError> {
        let mode = fs::Permissions::from_mode(self.mode);
        self.open().set_permissions(mode).map_err(|e| io(&self.target, &e))?;
        self.owner.give(self.temp.path());
        self.temp.persist(&self.target).map_err(|e| io(&self.target, &e.error))?;
        Ok(())
    }
}

/// By which leftovers of a killed run are known.
const PREFIX: &str = ".mlops-";
/// So long something that has just been made may be without its lock.
const GRACE: Duration = Duration::from_mins(1);

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    builder
}

/// Removes what a killed run has left: nobody holds its lock any more.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|e| e.file_name().to_string_lossy().starts_with(PREFIX)) {
        let path = entry.path();
        let old = entry.metadata().and_then(|m| m.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > GRACE));
        if old && fs::File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}

pub struct StagedFolder {
    temp: TempDir,
    /// Says that somebody is at work, to whoever sweeps.
    _lock: fs::File,
    target: PathBuf,
    owner: Owner,
}

impl StagedFolder {
    pub fn new(target: &Path, root: &Path) -> Result<Self, FileError> {
        let owner = Owner::of(root);
        let folder = target.parent().unwrap_or(root);
        owner.make_dirs(folder)?;
        sweep(folder);
        let temp = builder().permissions(fs::Permissions::from_mode(0o755)).tempdir_in(folder).map_err(|e| io(folder, &e))?;
        let lock = fs::File::open(temp.path()).map_err(|e| io(temp.path(), &e))?;
        let _ = lock.try_lock();
        owner.give(temp.path());
        Ok(Self { temp, _lock: lock, target: target.into(), owner })
    }

    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    /// A file in it, by its path inside.
    pub fn file(&self, relative: &str) -> Result<fs::File, FileError> {
        let path = self.temp.path().join(relative);
        self.owner.make_dirs(path.parent().unwrap_or(self.temp.path()))?;
        let file = fs::File::create_new(&path).map_err(|e| io(&path, &e))?;
        self.owner.give(&path);
        Ok(file)
    }

    /// The old folder and the new one change places in one step.
    pub fn commit(self) -> Result<(), FileError> {
        if self.target.exists() {
            let swapped = renameat2(AT_FDCWD, self.temp.path(), AT_FDCWD, &self.target, RenameFlags::RENAME_EXCHANGE);
            swapped.map_err(|e| io(&self.target, &e.into()))
        } else {
            fs::rename(self.temp.keep(), &self.target).map_err(|e| io(&self.target, &e))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_goes_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().expect("dir");
        let old = std::time::SystemTime::now() - GRACE * 2;
        let make = |name: &str| {
            let file = fs::File::create(dir.path().join(name)).expect("file");
            file.set_modified(old).expect("time");
            file
        };
        drop(make(".mlops-left"));
        let at_work = make(".mlops-at-work");
        at_work.try_lock().expect("lock");
        drop(make("other"));
        sweep(dir.path());
        let mut names: Vec<String> = fs::read_dir(dir.path()).expect("dir").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        assert_eq!(names, [".mlops-at-work", "other"]);
    }
}
