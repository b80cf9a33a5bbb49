//! Versions that are there: what a pointer says, now or in another commit.

use std::path::PathBuf;

use super::diff::{Part, Side};
use super::dvc::Out;
use super::store::{Store, id_at};
use super::{Dataset, DatasetError, Meta};
use crate::ports::files::walk;

/// The bytes that a version is.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointed(pub(super) Out);

/// A version by its pointer.
#[derive(Debug, Clone)]
pub struct Version {
    pub pointed: Pointed,
    /// Nothing where somebody else's pointer says nothing.
    pub meta: Option<Meta>,
}

impl Pointed {
    pub fn md5(&self) -> &str {
        &self.0.md5
    }

    pub fn bytes(&self) -> u64 {
        self.0.size
    }

    /// Where its pointer wants it to be kept.
    pub fn remote(&self) -> Option<&str> {
        self.0.remote.as_deref()
    }

    /// Its pointer lets it leave this machine.
    pub fn may_be_pushed(&self) -> bool {
        self.0.push
    }

    pub fn files(&self) -> Option<u64> {
        self.0.files
    }
}

impl Version {
    pub(super) fn of(out: Out) -> Self {
        let meta = serde_json::from_value::<Meta>(out.meta.clone()).ok().filter(|meta| meta.of == out.md5);
        Self { pointed: Pointed(out), meta }
    }
}

impl Store<'_> {
    /// What the pointer says now.
    pub fn version(&self, dataset: &Dataset) -> Result<Option<Version>, DatasetError> {
        Ok(self.current(dataset)?.map(|(_, out)| Version::of(out)))
    }

    /// What another text of the pointer says.
    pub fn version_of(dataset: &Dataset, text: &str) -> Result<Version, DatasetError> {
        Self::parse(&Self::pointer(dataset), text, dataset).map(|(_, out)| Version::of(out))
    }

    /// Whether the data in its place is that version.
    pub fn is_in_place(&self, dataset: &Dataset, version: &Pointed) -> Result<bool, DatasetError> {
        self.is_there(dataset, &version.0)
    }

    /// Whether every object of a version is in the cache; without a cache there is nothing to miss.
    pub(super) fn has_all(&self, out: &Out) -> Result<bool, DatasetError> {
        let Some(repo) = &self.repo else { return Ok(true) };
        Ok(repo.has(&out.md5) && self.objects(out)?.iter().all(|md5| repo.has(md5)))
    }

    pub fn is_cached(&self, version: &Pointed) -> Result<bool, DatasetError> {
        Ok(self.repo.is_some() && self.has_all(&version.0)?)
    }

    /// Brings a version into its place. What lies there and is kept nowhere else is only replaced with `force`.
    pub async fn bring(&self, dataset: &Dataset, version: &Pointed, force: bool) -> Result<(), DatasetError> {
        let _lock = self.lock(dataset).await?;
        self.replace(dataset, version, force)
    }

    /// Under the lock.
    fn replace(&self, dataset: &Dataset, version: &Pointed, force: bool) -> Result<(), DatasetError> {
        if !force && !self.is_safe(dataset)? {
            return Err(DatasetError::Dvc(format!(
                "{} holds data that no version has: `mlops data export` makes one of what the database holds, `--force` overwrites it",
                &*dataset.out
            )));
        }
        self.check_out(&version.0, &dataset.out)
    }

    /// Writes a version to a path where nothing is yet; true when just this was there already.
    pub fn copy_to(&self, version: &Pointed, target: &str) -> Result<bool, DatasetError> {
        match id_at(&self.workspace.written(target)?)? {
            Some(there) if there == version.md5() => return Ok(true),
            Some(_) => return Err(DatasetError::Dvc(format!("{target} is there already, and is something else: name another path"))),
            None => {}
        }
        self.check_out(&version.0, target)?;
        Ok(false)
    }

    /// The data and its pointer as they were. The text is that of the pointer then.
    pub async fn roll_back(&self, dataset: &Dataset, text: &str, force: bool) -> Result<Version, DatasetError> {
        let version = Self::version_of(dataset, text)?;
        // Until data and pointer are one again.
        let _lock = self.lock(dataset).await?;
        if !self.is_in_place(dataset, &version.pointed)? {
            self.replace(dataset, &version.pointed, force)?;
        }
        self.workspace.write(&Self::pointer(dataset), text.as_bytes())?;
        Ok(version)
    }

    /// The files of a version: in its place, or in the cache.
    pub fn side(&self, dataset: &Dataset, version: &Pointed) -> Result<Side, DatasetError> {
        if self.is_in_place(dataset, version)? {
            let path = self.workspace.written(&dataset.out)?;
            if version.files().is_none() {
                return Ok(Side::file(path));
            }
            let mut files = Vec::new();
            walk(&path, &mut files)?;
            let part = |file: PathBuf| {
                let inside = file.strip_prefix(&path).map(|p| p.display().to_string()).unwrap_or_default();
                Part::new(file, &inside)
            };
            return Ok(Side { files: files.into_iter().map(part).collect() });
        }
        let repo = self.repo()?;
        if !self.has_all(&version.0)? {
            return Err(DatasetError::Dvc(format!("{} is not in the cache: `mlops data pull` fetches it", version.md5())));
        }
        match version.files() {
            None => Ok(Side::file(repo.object(version.md5()))),
            Some(_) => {
                let tree = repo.tree(version.md5()).map_err(DatasetError::Dvc)?;
                Ok(Side { files: tree.entries.iter().map(|e| Part::new(repo.object(&e.md5), &e.path)).collect() })
            }
        }
    }

    /// The one file of a version.
    pub fn only_file(&self, dataset: &Dataset, version: &Pointed) -> Result<PathBuf, DatasetError> {
        if self.is_in_place(dataset, version)? { Ok(self.workspace.written(&dataset.out)?) } else { Ok(self.repo()?.object(version.md5())) }
    }

    /// The place of a remote, by its name, or of the default one.
    pub fn remote(&self, name: Option<&str>) -> Result<crate::ports::objects::Place, DatasetError> {
        self.repo()?.remote(name).map_err(DatasetError::Dvc)
    }
}
