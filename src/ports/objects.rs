//! Object stores: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage, a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, parse_url_opts};
use tokio::io::AsyncWriteExt as _;
use url::Url;

/// Where a store is, and what its owner says about it, in the words of DVC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub url: String,
    pub settings: BTreeMap<String, String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("{url}: {why}")]
    Place { url: String, why: String },
    #[error("{url}: {doing}: {why}")]
    Failed { url: String, doing: String, why: String },
    #[error("{url}: there is no {object} (or no such store)")]
    Missing { url: String, object: String },
}

pub struct Objects {
    store: Arc<dyn ObjectStore>,
    base: Path,
    /// A store that is a folder.
    folder: Option<PathBuf>,
    url: String,
}

/// DVC's names of settings, and the store's.
const NAMES: [(&str, &str); 9] = [
    ("endpointurl", "aws_endpoint"),
    ("region", "aws_region"),
    ("access_key_id", "aws_access_key_id"),
    ("secret_access_key", "aws_secret_access_key"),
    ("session_token", "aws_session_token"),
    ("allow_anonymous_login", "aws_skip_signature"),
    ("credentialpath", "google_service_account"),
    ("account_name", "azure_storage_account_name"),
    ("account_key", "azure_storage_account_key"),
];

/// DVC trusts an object of exactly this mode, and removes what it does not trust when it turns out to be wrong.
const TRUSTED: u32 = 0o444;

impl Objects {
    /// `env`: where the machine's credentials are, as each cloud's own tools name them.
    pub fn open(place: &Place, env: &BTreeMap<String, String>) -> Result<Self, ObjectError> {
        let url = place.url.clone();
        let wrong = |why: String| ObjectError::Place { url: place.url.clone(), why };
        let path = url.strip_prefix("file://").map(str::to_owned).or_else(|| (!url.contains("://")).then(|| home(&url, env)));
        if let Some(path) = path {
            fs::create_dir_all(&path).map_err(|e| wrong(e.to_string()))?;
            let store = LocalFileSystem::new_with_prefix(&path).map_err(|e| wrong(e.to_string()))?;
            return Ok(Self { store: Arc::new(store.with_automatic_cleanup(true)), base: Path::default(), folder: Some(path.into()), url });
        }
        let parsed = Url::parse(&url).map_err(|e| wrong(e.to_string()))?;
        if !["s3", "s3a", "gs", "az", "azure", "abfs", "abfss"].contains(&parsed.scheme()) {
            let known = "a folder, s3://, gs:// and azure:// are known";
            return Err(wrong(format!("`{}` is no store that can be reached from here: {known}", parsed.scheme())));
        }
        let (store, base) = parse_url_opts(&parsed, options(&place.settings, env)).map_err(|e| wrong(e.to_string()))?;
        Ok(Self { store: store.into(), base, folder: None, url })
    }

    /// For people, without what a URL may carry.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn path(&self, object: &str) -> Path {
        object.split('/').fold(self.base.clone(), |path, part| path.join(part))
    }

    fn failed(&self, doing: &str, why: impl ToString) -> ObjectError {
        ObjectError::Failed { url: self.url.clone(), doing: doing.into(), why: why.to_string() }
    }

    /// Its size, if it is there.
    pub async fn size(&self, object: &str) -> Result<Option<u64>, ObjectError> {
        match self.store.head(&self.path(object)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&format!("looking for {object}"), error)),
        }
    }

    /// The object is there when it is whole.
    pub async fn put(&self, object: &str, file: &FilePath) -> Result<(), ObjectError> {
        let path = self.path(object);
        let doing = format!("writing {object}");
        let mut from = tokio::fs::File::open(file).await.map_err(|e| self.failed(&doing, format!("{}: {e}", file.display())))?;
        let mut to = BufWriter::new(self.store.clone(), path);
        let copied = tokio::io::copy(&mut from, &mut to).await;
        if let Err(error) = copied {
            let _ = to.abort().await;
            return Err(self.failed(&doing, error));
        }
        to.shutdown().await.map_err(|e| self.failed(&doing, e))?;
        if let Some(folder) = &self.folder {
            fs::set_permissions(folder.join(object), fs::Permissions::from_mode(TRUSTED)).map_err(|e| self.failed(&doing, e))?;
        }
        Ok(())
    }

    pub async fn get(&self, object: &str, into: &mut impl Write) -> Result<(), ObjectError> {
        let doing = format!("reading {object}");
        let found = self.store.get(&self.path(object)).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => ObjectError::Missing { url: self.url.clone(), object: object.into() },
            error => self.failed(&doing, error),
        })?;
        let mut stream = found.into_stream();
        while let Some(chunk) = stream.try_next().await.map_err(|e| self.failed(&doing, e))? {
            into.write_all(&chunk).map_err(|e| self.failed(&doing, e))?;
        }
        Ok(())
    }
}

fn home(path: &str, env: &BTreeMap<String, String>) -> String {
    match (path.strip_prefix("~/"), env.get("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    }
}

/// What the environment says, and over it the remote's own settings.
fn options(settings: &BTreeMap<String, String>, env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let clouds = ["AWS_", "GOOGLE_", "AZURE_"];
    let from_env = env.iter().filter(|(key, value)| clouds.iter().any(|cloud| key.starts_with(cloud)) && !value.is_empty());
    let mut options: BTreeMap<String, String> = from_env.map(|(key, value)| (key.to_lowercase(), value.clone())).collect();
    if let Some(url) = options.remove("aws_endpoint_url") {
        options.insert("aws_endpoint".into(), url);
    }
    for (theirs, ours) in NAMES {
        if let Some(value) = settings.get(theirs) {
            options.insert(ours.into(), value.to_lowercase().parse::<bool>().map_or_else(|_| value.clone(), |b| b.to_string()));
        }
    }
    if options.get("aws_endpoint").is_some_and(|url| url.starts_with("http://")) {
        options.insert("aws_allow_http".into(), "true".into());
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_a_store_whose_objects_are_trusted() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("x");
        fs::write(&file, b"bytes").expect("file");
        let place = Place { url: dir.path().join("store").display().to_string(), settings: BTreeMap::new() };
        let store = Objects::open(&place, &BTreeMap::new()).expect("store");
        assert_eq!(store.size("files/md5/ab/cd").await.expect("absent"), None);
        store.put("files/md5/ab/cd", &file).await.expect("put");
        assert_eq!(store.size("files/md5/ab/cd").await.expect("there"), Some(5));
        let mode = fs::metadata(dir.path().join("store/files/md5/ab/cd")).expect("meta").permissions().mode();
        assert_eq!(mode & 0o777, TRUSTED);
        let mut back = tempfile::tempfile().expect("file");
        store.get("files/md5/ab/cd", &mut back).await.expect("get");
        assert!(matches!(store.get("files/md5/ab/ce", &mut back).await, Err(ObjectError::Missing { .. })));
    }

    #[test]
    fn a_remote_of_another_kind_is_named() {
        let place = Place { url: "ssh://host/path".into(), settings: BTreeMap::new() };
        let said = Objects::open(&place, &BTreeMap::new()).err().expect("error").to_string();
        assert!(said.contains("`ssh`") && said.contains("s3://"), "{said}");
    }
}
