//! Where versions are kept: the data beside its pointer, and where there is a repository of DVC, every version in its cache.
//!
//! A kill at any moment leaves no pointer to bytes that are not there: the cache has a version before anything names it, and
//! without a cache the old pointer goes before the data does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dvc::{Entry, Out, Pointer, Repo, Tree, md5_of, place};
use super::{Dataset, DatasetError, Datasets};
use crate::ports::files::{FileError, Staged, StagedFolder, Workspace, io};
use crate::ports::objects::Objects;

pub struct Store<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) repo: Option<Repo>,
}

/// New data that is whole, but not in its place.
pub(super) enum Fresh {
    File(Staged),
    Folder(StagedFolder, Tree),
}

impl<'a> Store<'a> {
    /// `home`: of the user, whose settings of DVC count too.
    pub fn open(workspace: &'a Workspace, home: Option<&str>) -> Result<Self, DatasetError> {
        // A dry run keeps nothing.
        let repo = if workspace.is_dry() { None } else { Repo::find(&workspace.path_of_folder(), home.map(Path::new)).map_err(DatasetError::Dvc)? };
        Ok(Self { workspace, repo })
    }

    pub(super) fn repo(&self) -> Result<&Repo, DatasetError> {
        self.repo
            .as_ref()
            .ok_or_else(|| DatasetError::Dvc("there is no repository of DVC here, so nothing keeps older versions: run `dvc init`".into()))
    }

    /// Held while data and pointer change; whoever comes second waits.
    pub(super) async fn lock(&self, dataset: &Dataset) -> Result<fs::File, DatasetError> {
        let folder = self.workspace.folder_of(&dataset.out)?;
        let lock = fs::File::open(&folder).map_err(|e| io(&folder, &e))?;
        while let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(lock)
    }

    /// The locks of all datasets, each folder's once, in the order of the folders: runs that share some do not wait for
    /// each other in a circle.
    pub(super) async fn lock_all(&self, datasets: &Datasets) -> Result<Vec<fs::File>, DatasetError> {
        let mut folders = BTreeMap::new();
        for dataset in datasets.values() {
            folders.insert(self.workspace.folder_of(&dataset.out)?, dataset);
        }
        let mut locks = Vec::new();
        for dataset in folders.values() {
            locks.push(self.lock(dataset).await?);
        }
        Ok(locks)
    }

    /// What lies in its place is some version that is kept: nothing is lost when another one comes. Nothing there is fine too.
    pub(super) fn is_safe(&self, dataset: &Dataset) -> Result<bool, DatasetError> {
        let path = self.workspace.written(&dataset.out)?;
        let repo = self.repo()?;
        if path.is_file() {
            return Ok(repo.is_whole(&md5_of(&path).map_err(|e| io(&path, &e))?));
        }
        if path.is_dir() {
            return Ok(tree_of(&path)?.entries.iter().all(|entry| repo.is_whole(&entry.md5)));
        }
        Ok(true)
    }

    pub fn pointer(dataset: &Dataset) -> String {
        format!("{}.dvc", dataset.out.trim_end_matches('/'))
    }

    pub(super) fn name(dataset: &Dataset) -> &str {
        dataset.out.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// What the pointer says, if there is one.
    pub(super) fn current(&self, dataset: &Dataset) -> Result<Option<(Pointer, Out)>, DatasetError> {
        let file = Self::pointer(dataset);
        if !self.workspace.written(&file)?.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(self.workspace.written(&file)?).map_err(|e| io(Path::new(&file), &e))?;
        Self::parse(&file, &text, dataset).map(Some)
    }

    pub(super) fn parse(file: &str, text: &str, dataset: &Dataset) -> Result<(Pointer, Out), DatasetError> {
        let wrong = |why: String| DatasetError::Dvc(format!("{file}: {why}"));
        let pointer = Pointer::parse(text).map_err(wrong)?;
        let out = pointer.out(Self::name(dataset)).map_err(wrong)?;
        Ok((pointer, out))
    }

    /// Whether the data is what a pointer says.
    pub(super) fn is_there(&self, dataset: &Dataset, out: &Out) -> Result<bool, DatasetError> {
        Ok(id_at(&self.workspace.written(&dataset.out)?)?.as_deref() == Some(&*out.md5))
    }

    /// Puts new data in its place, and its pointer after it.
    pub(super) fn settle(&self, dataset: &Dataset, fresh: Fresh, before: Option<(Pointer, Out)>, out: &Out) -> Result<(), DatasetError> {
        let file = Self::pointer(dataset);
        match (&self.repo, &fresh) {
            (Some(repo), Fresh::File(staged)) => repo.keep(&out.md5, staged.path())?,
            (Some(repo), Fresh::Folder(folder, tree)) => {
                for entry in &tree.entries {
                    repo.keep(&entry.md5, &folder.path().join(&entry.path))?;
                }
                repo.keep_tree(tree)?;
            }
            (None, _) => self.forget(&file)?,
        }
        match fresh {
            Fresh::File(staged) => staged.commit_synced()?,
            Fresh::Folder(folder, _) => folder.commit()?,
        }
        self.ignore(dataset)?;
        let pointer = before.map_or_else(Pointer::new, |(pointer, _)| pointer).with(out);
        self.workspace.write(&file, pointer.write().map_err(DatasetError::Dvc)?.as_bytes())?;
        Ok(())
    }

    fn forget(&self, file: &str) -> Result<(), FileError> {
        let path = self.workspace.written(file)?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&path, &e)),
            _ => Ok(()),
        }
    }

    /// `dvc pull` and `dvc checkout` would not: whoever writes the pointer tells git.
    fn ignore(&self, dataset: &Dataset) -> Result<(), DatasetError> {
        if !self.repo.as_ref().is_some_and(Repo::with_git) {
            return Ok(());
        }
        let out = dataset.out.trim_end_matches('/');
        let file = out.rsplit_once('/').map_or_else(|| ".gitignore".to_owned(), |(folder, _)| format!("{folder}/.gitignore"));
        // A pattern, in which some characters of a name mean something else.
        let name = Self::name(dataset).chars().map(|c| if "[]*?\\".contains(c) { format!("\\{c}") } else { c.to_string() });
        let line = format!("/{}", name.collect::<String>());
        let text = fs::read_to_string(self.workspace.written(&file)?).unwrap_or_default();
        if text.lines().any(|known| known == line) {
            return Ok(());
        }
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.workspace.write(&file, format!("{text}{gap}{line}\n").as_bytes())?;
        Ok(())
    }

    /// Brings a version from the cache into its place, or somewhere else.
    pub(super) fn check_out(&self, out: &Out, target: &str) -> Result<(), DatasetError> {
        let repo = self.repo()?;
        let absent = |md5: &str| DatasetError::Dvc(format!("{md5} is not in the cache: `mlops data pull` fetches it"));
        let copy = |md5: &str, to: &mut fs::File| -> Result<(), DatasetError> {
            let from = repo.object(md5);
            if !repo.has(md5) {
                return Err(absent(md5));
            }
            let mut from = fs::File::open(&from).map_err(|e| io(&from, &e))?;
            std::io::copy(&mut from, to).map_err(|e| io(Path::new(target), &e))?;
            Ok(())
        };
        if out.files.is_none() {
            let staged = self.workspace.stage(target)?;
            copy(&out.md5, &mut staged.open().try_clone().map_err(|e| io(Path::new(target), &e))?)?;
            if md5_of(staged.path()).map_err(|e| io(staged.path(), &e))? != out.md5 {
                return Err(DatasetError::Dvc(format!("the cache's {} has other bytes than its name says", out.md5)));
            }
            return Ok(staged.commit_synced()?);
        }
        if !repo.has(&out.md5) {
            return Err(absent(&out.md5));
        }
        let tree = repo.tree(&out.md5).map_err(DatasetError::Dvc)?;
        let folder = self.workspace.stage_folder(target)?;
        for entry in &tree.entries {
            copy(&entry.md5, &mut folder.file(&entry.path)?)?;
        }
        if tree_of(folder.path())?.id() != out.md5 {
            return Err(DatasetError::Dvc(format!("the cache's {} has other bytes than its name says", out.md5)));
        }
        Ok(folder.commit()?)
    }

    /// Every object of a version, the one that names the others last.
    pub(super) fn objects(&self, out: &Out) -> Result<Vec<String>, DatasetError> {
        let mut objects = Vec::new();
        if out.files.is_some() {
            if !self.repo()?.object(&out.md5).is_file() {
                return Err(DatasetError::Dvc(format!("{} is not in the cache", out.md5)));
            }
            let tree = self.repo()?.tree(&out.md5).map_err(DatasetError::Dvc)?;
            objects.extend(tree.entries.into_iter().map(|e| e.md5));
            objects.dedup();
        }
        objects.push(out.md5.clone());
        Ok(objects)
    }

    /// Sends a version; how many objects were not there yet.
    pub async fn send(&self, out: &super::Pointed, remote: &Objects) -> Result<usize, DatasetError> {
        let mut sent = 0;
        for md5 in self.objects(&out.0)? {
            let path = self.repo()?.object(&md5);
            if !path.is_file() {
                return Err(DatasetError::Dvc(format!("{md5} is not in the cache")));
            }
            if !self.repo()?.is_whole(&md5) {
                return Err(DatasetError::Dvc(format!(
                    "{} is damaged: it has other bytes than its name says; `mlops data export` writes it again",
                    path.display()
                )));
            }
            let size = fs::metadata(&path).map_err(|e| io(&path, &e))?.len();
            if remote.size(&place(&md5)).await? != Some(size) {
                remote.put(&place(&md5), &path).await?;
                sent += 1;
            }
        }
        Ok(sent)
    }

    /// Fetches a version into the cache; how many objects were missing.
    pub async fn fetch(&self, out: &super::Pointed, remote: &Objects) -> Result<usize, DatasetError> {
        let mut fetched = usize::from(self.fetch_one(&out.0.md5, remote).await?);
        if out.0.files.is_some() {
            for md5 in self.objects(&out.0)? {
                fetched += usize::from(self.fetch_one(&md5, remote).await?);
            }
        }
        Ok(fetched)
    }

    async fn fetch_one(&self, md5: &str, remote: &Objects) -> Result<bool, DatasetError> {
        let repo = self.repo()?;
        if repo.has(md5) {
            return Ok(false);
        }
        let staged = repo.stage(md5)?;
        let mut file = staged.open().try_clone().map_err(|e| io(staged.path(), &e))?;
        remote.get(&place(md5), &mut file).await?;
        let found = md5_of(staged.path()).map_err(|e| io(staged.path(), &e))?;
        if md5.strip_suffix(".dir").unwrap_or(md5) != found {
            return Err(DatasetError::Dvc(format!("{}: {md5} has the bytes of {found}: nothing was kept", remote.url())));
        }
        staged.commit_synced()?;
        Ok(true)
    }
}

/// By what name DVC knows what lies at a path, if anything does.
pub(super) fn id_at(path: &Path) -> Result<Option<String>, DatasetError> {
    if path.is_dir() {
        return Ok(Some(tree_of(path)?.id()));
    }
    Ok(if path.exists() { Some(md5_of(path).map_err(|e| io(path, &e))?) } else { None })
}

/// A folder's files as they lie there.
fn tree_of(folder: &Path) -> Result<Tree, DatasetError> {
    let mut paths: Vec<PathBuf> = Vec::new();
    crate::ports::files::walk(folder, &mut paths)?;
    let entry = |path: &PathBuf| {
        let relative = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        md5_of(path).map(|md5| Entry { path: relative, md5 }).map_err(|e| io(path, &e))
    };
    Ok(Tree::new(paths.iter().map(entry).collect::<Result<_, _>>()?))
}
