//! A repository of DVC: where its cache is, and which remotes it has.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use md5::Md5;

use super::config::Config;
use super::{Tree, place};
use crate::mistakes::suggestion;
use crate::ports::files::{FileError, Staged, digest_of, io as io_error};
use crate::ports::objects::Place;

/// DVC trusts an object of exactly this mode, and hashes every other one again.
const TRUSTED: u32 = 0o444;

#[derive(Debug, Clone)]
pub(in crate::dataset) struct Repo {
    folder: PathBuf,
    config: Config,
}

impl Repo {
    /// The one that a folder lies in; `home`: where the machine's and the user's settings are.
    pub(in crate::dataset) fn find(folder: &Path, home: Option<&Path>) -> Result<Option<Self>, String> {
        let folder = folder.canonicalize().map_err(|e| format!("{}: {e}", folder.display()))?;
        let Some(dvc) = folder.ancestors().map(|parent| parent.join(".dvc")).find(|dvc| dvc.is_dir()) else { return Ok(None) };
        let user = home.map(|home| home.join(".config/dvc/config"));
        let files: Vec<PathBuf> =
            [Some(PathBuf::from("/etc/xdg/dvc/config")), user].into_iter().flatten().chain([dvc.join("config"), dvc.join("config.local")]).collect();
        Ok(Some(Self { config: Config::read(&files)?, folder: dvc }))
    }

    fn cache(&self) -> PathBuf {
        self.config.get("cache", "dir").map_or_else(|| self.folder.join("cache"), PathBuf::from)
    }

    pub(in crate::dataset) fn object(&self, md5: &str) -> PathBuf {
        self.cache().join(place(md5))
    }

    /// Whether the cache has it, and it is what it says; one that is not trusted is looked at.
    pub(in crate::dataset) fn has(&self, md5: &str) -> bool {
        let path = self.object(md5);
        let Ok(found) = fs::metadata(&path) else { return false };
        found.permissions().mode() & 0o777 == TRUSTED || self.is_whole(md5)
    }

    /// Whether the cache's object has the bytes that its name says, whatever its mode.
    pub(in crate::dataset) fn is_whole(&self, md5: &str) -> bool {
        md5_of(&self.object(md5)).is_ok_and(|is| md5.strip_suffix(".dir").unwrap_or(md5) == is)
    }

    /// Into the cache, whole and on the disk; the copy shares its blocks where the file system can. A damaged object is
    /// replaced.
    pub(in crate::dataset) fn keep(&self, md5: &str, file: &Path) -> Result<(), FileError> {
        if self.is_whole(md5) {
            return Ok(());
        }
        let mut from = File::open(file).map_err(|e| io_error(file, &e))?;
        self.put(md5, |to| io::copy(&mut from, to).map(|_| ()))
    }

    pub(in crate::dataset) fn keep_tree(&self, tree: &Tree) -> Result<(), FileError> {
        if self.is_whole(&tree.id()) {
            return Ok(());
        }
        self.put(&tree.id(), |to| io::Write::write_all(to, tree.write().as_bytes()))
    }

    fn put(&self, md5: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), FileError> {
        let target = self.object(md5);
        let root = self.folder.parent().unwrap_or(&self.folder);
        let staged = Staged::file(&target, root)?.with_mode(TRUSTED);
        staged.open().try_clone().and_then(|mut to| write(&mut to)).map_err(|e| io_error(&target, &e))?;
        staged.commit_synced()
    }

    /// A place for what is being fetched.
    pub(in crate::dataset) fn stage(&self, md5: &str) -> Result<Staged, FileError> {
        Ok(Staged::file(&self.object(md5), self.folder.parent().unwrap_or(&self.folder))?.with_mode(TRUSTED))
    }

    /// A folder's object in the cache.
    pub(in crate::dataset) fn tree(&self, md5: &str) -> Result<Tree, String> {
        let path = self.object(md5);
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Tree::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// By its name, or the default one. A URL is a remote without a name.
    pub(in crate::dataset) fn remote(&self, wanted: Option<&str>) -> Result<Place, String> {
        if let Some(url) = wanted.filter(|text| text.contains("://")) {
            return Ok(Place { url: url.into(), settings: BTreeMap::new() });
        }
        let name = wanted.or_else(|| self.config.get("core", "remote"));
        let name = name.ok_or("no remote is configured: name one (`remote:` of the dataset, `--remote`, or `dvc remote add -d NAME URL`)")?;
        let missing = || format!("there is no remote `{name}` in .dvc/config; {}", suggestion(name, self.config.remotes(), "remotes"));
        let settings = self.config.remote(name).ok_or_else(missing)?;
        let url = settings.get("url").ok_or_else(|| format!("the remote `{name}` has no `url`"))?;
        if let Some((base, rest)) = url.strip_prefix("remote://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            let base = self.remote(Some(base))?;
            return Ok(Place { url: format!("{}/{rest}", base.url.trim_end_matches('/')), settings: base.settings });
        }
        Ok(Place { url: url.clone(), settings: settings.clone() })
    }

    /// DVC leaves git alone where it is told so.
    pub(in crate::dataset) fn with_git(&self) -> bool {
        !self.config.get("core", "no_scm").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Of a file, a piece at a time.
pub(in crate::dataset) fn md5_of(path: &Path) -> io::Result<String> {
    digest_of::<Md5>(File::open(path)?)
}
