//! Where artifacts are kept: every file by its digest, a folder as the list of its files. What is read is verified.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::refusal::{Reason, Refusal};
use super::session::RegistryError;
use super::version::Version;
use crate::names::RelPath;
use crate::ports::files::{Content, Contents, Workspace, hex, sha256};
use crate::ports::mlflow::Mlflow;
use crate::ports::objects::{ObjectError, Objects, Place};

/// A store of artifacts.
pub enum Home {
    /// And its address as it is configured: a folder's is relative to the workspace, wherever that lies.
    Objects(Objects, String),
    /// The artifact proxy of a tracking server, below a folder of our own.
    Mlflow(Mlflow),
}

/// Where new artifacts are kept, and where some may have been kept before.
#[derive(Default)]
pub struct Homes {
    pub keeper: Option<Home>,
    pub before: Option<Home>,
}

impl Homes {
    fn of(&self, uri: &str, sha256: &str) -> Option<&Home> {
        [&self.keeper, &self.before].into_iter().flatten().find(|home| home.uri(sha256) == uri)
    }
}

/// What a look at an artifact has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Every byte is as it was registered.
    Whole,
    /// In no store, but the same bytes lie in the workspace.
    Here,
    Missing(String),
    Changed(String),
}

impl Kept {
    pub fn refusal(&self, version: &Version) -> Option<Refusal> {
        let title = version.title();
        match self {
            Self::Whole | Self::Here => None,
            Self::Missing(why) => Some(
                Refusal::new(Reason::ArtifactMissing, format!("the artifact of {title} is gone: {why}"))
                    .but("set `registry.artifacts`, so that versions are kept, or bring the same bytes back"),
            ),
            Self::Changed(why) => Some(Refusal::new(Reason::ArtifactChanged, format!("the artifact of {title} is not what was registered: {why}"))),
        }
    }
}

const FOLDER: &str = "mlops";

/// `sha256/ab/cd…`
fn object(sha256: &str) -> String {
    let (head, tail) = sha256.split_at(sha256.len().min(2));
    format!("sha256/{head}/{tail}")
}

/// Counts and digests what passes, and writes it on if somebody wants it.
struct Tap<'a> {
    digest: Sha256,
    onward: Option<&'a mut fs::File>,
}

impl Write for Tap<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.digest.update(bytes);
        if let Some(onward) = &mut self.onward {
            onward.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Home {
    pub fn url(&self) -> String {
        match self {
            Self::Objects(_, url) => url.trim_end_matches('/').to_owned(),
            Self::Mlflow(_) => format!("mlflow-artifacts:/{FOLDER}"),
        }
    }

    pub fn uri(&self, sha256: &str) -> String {
        format!("{}/{}", self.url(), object(sha256))
    }

    /// A folder's address may be relative to the workspace.
    pub fn at(place: Place, workspace: &Workspace, env: &BTreeMap<String, String>) -> Result<Self, RegistryError> {
        let shown = place.url.trim_start_matches("./").to_owned();
        let relative = !shown.contains("://") && !shown.starts_with(['/', '~']);
        let url = if relative { workspace.written(&shown)?.display().to_string() } else { shown.clone() };
        Ok(Self::Objects(Objects::open(&Place { url, ..place }, env)?, shown))
    }

    /// The store that an address belongs to, where it is not the configured one.
    pub fn of(uri: &str, workspace: &Workspace, env: &BTreeMap<String, String>) -> Result<Self, RegistryError> {
        let url = uri.rsplit_once("/sha256/").map_or(uri, |(url, _)| url).to_owned();
        if url.starts_with("mlflow-artifacts:") {
            return Err(RegistryError::Other(format!("{uri} lies with MLflow: set `registry.mlflow`")));
        }
        Self::at(Place { url, settings: BTreeMap::new() }, workspace, env)
    }

    /// Puts an artifact there, what is there already aside; its address.
    pub async fn keep(&self, contents: &Contents, path: &Path) -> Result<String, RegistryError> {
        for file in contents.files() {
            let from = if file.path.is_empty() { path.to_owned() } else { path.join(&file.path) };
            self.put(&file.sha256, file.bytes, &from).await?;
        }
        let sha256 = contents.sha256();
        if let Contents::Folder(files) = contents {
            let manifest = Contents::manifest(files);
            let mut file = tempfile::NamedTempFile::new().map_err(|e| RegistryError::Other(e.to_string()))?;
            file.write_all(manifest.as_bytes()).map_err(|e| RegistryError::Other(e.to_string()))?;
            self.put(&sha256, manifest.len() as u64, file.path()).await?;
        }
        Ok(self.uri(&sha256))
    }

    async fn put(&self, sha256: &str, bytes: u64, from: &Path) -> Result<(), RegistryError> {
        match self {
            Self::Objects(objects, _) => {
                if objects.size(&object(sha256)).await? != Some(bytes) {
                    objects.put(&object(sha256), from).await?;
                }
            }
            Self::Mlflow(mlflow) => {
                mlflow.put_file(&format!("{FOLDER}/{}", object(sha256)), from).await.map_err(|e| RegistryError::Other(e.to_string()))?;
                // Nobody else looks at what has arrived.
                if !self.get(sha256, None).await? {
                    return Err(RegistryError::Other(format!("{} was written, and is not there", self.uri(sha256))));
                }
            }
        }
        Ok(())
    }

    /// Reads an object; `Ok(false)` where there is none, `Err` where it is another one.
    async fn get(&self, sha256: &str, onward: Option<&mut fs::File>) -> Result<bool, RegistryError> {
        let mut tap = Tap { digest: Sha256::new(), onward };
        match self {
            Self::Objects(objects, _) => match objects.get(&object(sha256), &mut tap).await {
                Ok(()) => {}
                Err(ObjectError::Missing { .. }) => return Ok(false),
                Err(error) => return Err(error.into()),
            },
            Self::Mlflow(mlflow) => {
                let found = mlflow.get_file(&format!("{FOLDER}/{}", object(sha256)), &mut tap).await;
                if !found.map_err(|e| RegistryError::Other(e.to_string()))? {
                    return Ok(false);
                }
            }
        }
        let found = hex(&tap.digest.finalize());
        if found == sha256 { Ok(true) } else { Err(RegistryError::Other(format!("{} has the digest {found}", self.uri(sha256)))) }
    }

    /// Whether every byte of a version is there and as it was.
    async fn look(&self, version: &Version, sha256: &str) -> Result<Kept, RegistryError> {
        let files: Vec<(&str, &str)> = match &version.artifact_files {
            Some(files) => std::iter::once(("its list of files", sha256)).chain(files.iter().map(|f| (f.path.as_str(), f.sha256.as_str()))).collect(),
            None => vec![("it", sha256)],
        };
        for (name, digest) in files {
            match self.get(digest, None).await {
                Ok(true) => {}
                Ok(false) => return Ok(Kept::Missing(format!("{} has no object for {name} ({digest})", self.url()))),
                Err(RegistryError::Other(why)) if why.contains(" has the digest ") => return Ok(Kept::Changed(why)),
                Err(error) => return Err(error),
            }
        }
        Ok(Kept::Whole)
    }

    /// Brings a version into a file or folder that is not there yet.
    pub async fn fetch(&self, version: &Version, into: &Path) -> Result<(), RegistryError> {
        let sha256 = version.artifact_sha256.as_deref().unwrap_or_default();
        let single = [Content { path: String::new(), sha256: sha256.to_owned(), bytes: 0 }];
        let files = version.artifact_files.as_deref().unwrap_or(&single);
        listed(version)?;
        for file in files {
            let to = if file.path.is_empty() { into.to_owned() } else { into.join(&file.path) };
            let wrong = |e: io::Error| RegistryError::Other(format!("{}: {e}", to.display()));
            if let Some(folder) = to.parent().filter(|p| !p.as_os_str().is_empty()) {
                fs::create_dir_all(folder).map_err(wrong)?;
            }
            let mut new = fs::File::create_new(&to).map_err(wrong)?;
            if !self.get(&file.sha256, Some(&mut new)).await? {
                return Err(RegistryError::Other(format!("{} has no object {}", self.url(), file.sha256)));
            }
        }
        Ok(())
    }
}

/// The list of a folder's files is the one that its digest is of, and leads nowhere else.
fn listed(version: &Version) -> Result<(), RegistryError> {
    let Some(files) = &version.artifact_files else { return Ok(()) };
    let wrong = |why: String| RegistryError::Other(format!("the artifact of {}: {why}", version.title()));
    if let Some(file) = files.iter().find(|file| RelPath::parse(&file.path).is_err()) {
        return Err(wrong(format!("its list of files names `{}`, which leads out of it", file.path)));
    }
    if Some(sha256(Contents::manifest(files).as_bytes())) != version.artifact_sha256 {
        return Err(wrong("its list of files is not the one that was registered".into()));
    }
    Ok(())
}

/// Looks at a version's artifact where it is kept; what is kept nowhere counts where the same bytes lie here.
pub async fn look(version: &Version, homes: &Homes, workspace: &Workspace, env: &BTreeMap<String, String>) -> Result<Kept, RegistryError> {
    let Some(sha256) = version.artifact_sha256.as_deref() else {
        return Ok(Kept::Missing("it was adopted without one".into()));
    };
    if let Some(uri) = &version.artifact_uri {
        let own;
        let home = match homes.of(uri, sha256) {
            Some(home) => home,
            None => {
                own = Home::of(uri, workspace, env)?;
                &own
            }
        };
        return home.look(version, sha256).await;
    }
    // Everything is kept by its digest: who stores it later is found too.
    if let Some(home) = &homes.keeper
        && let kept @ Kept::Whole = home.look(version, sha256).await?
    {
        return Ok(kept);
    }
    let path = version.artifact_path.as_deref().unwrap_or_default();
    match workspace.contents(path) {
        Ok(contents) if contents.sha256() == sha256 => Ok(Kept::Here),
        Ok(_) => Ok(Kept::Missing(format!("it was never stored, and {path} is another one now"))),
        Err(_) => Ok(Kept::Missing(format!("it was never stored, and {path} is not here"))),
    }
}

/// An artifact's bytes on this machine.
pub enum Local {
    Here(PathBuf),
    /// Fetched, and gone with this.
    Fetched {
        path: PathBuf,
        _gone: TempDir,
    },
}

impl Local {
    pub fn path(&self) -> &Path {
        match self {
            Self::Here(path) | Self::Fetched { path, .. } => path,
        }
    }
}

/// The bytes where they lie in the workspace, else from where they are kept.
pub async fn local(version: &Version, homes: &Homes, workspace: &Workspace, env: &BTreeMap<String, String>) -> Result<Local, RegistryError> {
    let Some(sha256) = version.artifact_sha256.as_deref() else {
        return Err(RegistryError::Other(format!("{} was adopted without an artifact", version.title())));
    };
    if let Some(path) = version.artifact_path.as_deref()
        && workspace.contents(path).is_ok_and(|contents| contents.sha256() == sha256)
    {
        return Ok(Local::Here(workspace.path(path)?));
    }
    let stored = version.artifact_uri.clone().or_else(|| homes.keeper.as_ref().map(|home| home.uri(sha256)));
    let Some(uri) = &stored else {
        return Err(RegistryError::Other(format!("the artifact of {} was never stored, and is not here: set `registry.artifacts`", version.title())));
    };
    let folder = tempfile::tempdir().map_err(|e| RegistryError::Other(e.to_string()))?;
    let path = folder.path().join("artifact");
    match homes.of(uri, sha256) {
        Some(home) => home.fetch(version, &path).await?,
        None => Home::of(uri, workspace, env)?.fetch(version, &path).await?,
    }
    Ok(Local::Fetched { path, _gone: folder })
}
