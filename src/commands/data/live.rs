//! Verbs that ask the database: new versions, and whether the last ones are still what it holds.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::{Data, Failure, Outcome as Exit, no_version};
use crate::commands::progress::Progress;
use crate::commands::run::now;
use crate::commands::tell::tell;
use crate::dataset::{Context, Datasets, live_content, write_all};
use crate::migrate;
use crate::outcome::{Outcome, Status};
use crate::ports::postgres::Postgres;
use crate::stages::snapshot::{connections, failed, push, told};
use crate::units::counted;

/// What the migrations' history says, where there is one.
pub(super) async fn revision(server: &Postgres) -> Option<String> {
    migrate::head(server).await.ok().flatten()
}

pub(super) async fn export(data: &Data<'_>, names: &[String], and_push: bool) -> Exit {
    let store = data.store()?;
    let server = data.loaded.server("export from").await?;
    let wanted: Datasets = data.chosen(names)?.into_iter().map(|(name, dataset)| (name.to_owned(), dataset.clone())).collect();
    let progress = Progress::new(data.shell);
    let watch = |name: &str, estimate: Option<u64>, rows: Arc<AtomicU64>| progress.rows(name, estimate, rows);
    let pool = data.loaded.config.core.database.pool;
    let context = Context { store: &store, connections: connections(pool), schema_revision: revision(&server).await, now: now(), watch: &watch };
    let results = write_all(&server, &wanted, &context).await;
    progress.clear();
    let mut outcomes = Vec::new();
    for (name, result) in results.map_err(Failure::broken)? {
        match result {
            Ok(written) => {
                outcomes.push(told(&name, &written));
                if and_push {
                    let remote = written.version.remote().or(wanted.get(&name).and_then(|d| d.remote.as_deref()));
                    outcomes.push(push(&store, &name, &written.version, remote, &data.shell.env).await);
                }
            }
            Err(error) => outcomes.push(failed(&name, "export", &error)),
        }
    }
    Ok(tell(data.shell, &outcomes, "there is no dataset"))
}

pub(super) async fn verify(data: &Data<'_>, names: &[String], live: bool) -> Exit {
    let store = data.store()?;
    let server = if live { Some(data.loaded.server("compare with").await?) } else { None };
    let mut outcomes = Vec::new();
    for (name, dataset) in data.chosen(names)? {
        let Some(version) = store.version(dataset).map_err(Failure::broken)? else {
            outcomes.push(Outcome::new(name, "verify", Status::Broken, no_version(name, dataset).message));
            continue;
        };
        let md5 = version.pointed.md5();
        let bytes = match store.is_in_place(dataset, &version.pointed) {
            Ok(true) => Outcome::new(name, "bytes", Status::Passed, format!("{} is what its pointer says (md5 {md5})", dataset.out)),
            Ok(false) => Outcome::new(name, "bytes", Status::Failed, format!("{} is not what its pointer says (md5 {md5})", dataset.out))
                .with_remedy(Some(format!("`mlops data load {name}` brings it back, `mlops data export {name}` writes a new version"))),
            Err(error) => failed(name, "bytes", &error),
        };
        outcomes.push(bytes);
        let Some(server) = &server else { continue };
        let Some(meta) = &version.meta else {
            let why = "its pointer says nothing about its rows: it was not written by `mlops data export`";
            outcomes.push(Outcome::new(name, "live", Status::Broken, why));
            continue;
        };
        outcomes.push(match live_content(server, &data.loaded.workspace, dataset).await {
            Ok((content, rows)) if content == meta.content => {
                Outcome::new(name, "live", Status::Passed, format!("the database holds the same {}", counted(rows, "row")))
            }
            Ok((_, rows)) => {
                let said = if rows == meta.rows {
                    format!("the database holds {} other than the version", counted(rows, "row"))
                } else {
                    format!("the database holds {}, the version {}", counted(rows, "row"), meta.rows)
                };
                Outcome::new(name, "live", Status::Failed, said)
                    .with_remedy(Some(format!("`mlops data export {name}` writes a new version, `mlops data diff` says what changed")))
            }
            Err(error) => failed(name, "live", &error),
        });
    }
    Ok(tell(data.shell, &outcomes, "there is no dataset"))
}
