//! Versions to remotes and back.

use super::{Data, Failure, Outcome as Exit, no_version};
use crate::commands::tell::tell;
use crate::dataset::{Dataset, DatasetError, Store, Version};
use crate::outcome::{Outcome, Status};
use crate::ports::objects::Objects;
use crate::stages::snapshot::{failed, push as send};
use crate::units::counted;

pub(super) async fn push(data: &Data<'_>, names: &[String], remote: Option<&str>) -> Exit {
    let store = data.store()?;
    let mut outcomes = Vec::new();
    for (name, dataset) in data.chosen(names)? {
        let Some(version) = store.version(dataset).map_err(Failure::broken)? else {
            outcomes.push(Outcome::new(name, "push", Status::Broken, no_version(name, dataset).message));
            continue;
        };
        let remote = remote.or(version.pointed.remote()).or(dataset.remote.as_deref());
        outcomes.push(send(&store, name, &version.pointed, remote, &data.shell.env).await);
    }
    Ok(tell(data.shell, &outcomes, "there is no dataset"))
}

pub(super) async fn pull(data: &Data<'_>, names: &[String], remote: Option<&str>, force: bool) -> Exit {
    let store = data.store()?;
    let mut outcomes = Vec::new();
    for (name, dataset) in data.chosen(names)? {
        let Some(version) = store.version(dataset).map_err(Failure::broken)? else {
            outcomes.push(Outcome::new(name, "pull", Status::Broken, no_version(name, dataset).message));
            continue;
        };
        outcomes.push(match pulled(data, &store, dataset, &version, remote, force).await {
            Ok(message) => Outcome::new(name, "pull", Status::Passed, message),
            Err(error) => failed(name, "pull", &error),
        });
    }
    Ok(tell(data.shell, &outcomes, "there is no dataset"))
}

async fn pulled(
    data: &Data<'_>,
    store: &Store<'_>,
    dataset: &Dataset,
    version: &Version,
    remote: Option<&str>,
    force: bool,
) -> Result<String, DatasetError> {
    let fetched = fetch(data, store, dataset, version, remote).await?;
    if store.is_in_place(dataset, &version.pointed)? {
        return Ok(format!("{} is there already", dataset.out));
    }
    store.bring(dataset, &version.pointed, force).await?;
    Ok(format!("{} is back in its place, {} fetched", dataset.out, counted(fetched as u64, "object")))
}

/// Into the cache, unless it is there.
pub(super) async fn fetch(
    data: &Data<'_>,
    store: &Store<'_>,
    dataset: &Dataset,
    version: &Version,
    remote: Option<&str>,
) -> Result<usize, DatasetError> {
    if store.is_cached(&version.pointed)? {
        return Ok(0);
    }
    let objects = Objects::open(&store.remote(remote.or(version.pointed.remote()).or(dataset.remote.as_deref()))?, &data.shell.env)?;
    store.fetch(&version.pointed, &objects).await
}
