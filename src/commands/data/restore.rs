//! An earlier version again: as a file, as a pointer, as rows.

use super::live::revision;
use super::move_to::fetch;
use super::{Data, Failure, Outcome as Exit, Store, Version};
use crate::commands::tell::tell;
use crate::dataset::Dataset;
use crate::mistakes::Mistakes;
use crate::names::TableName;
use crate::node::Node;
use crate::outcome::{Outcome, Status};
use crate::ports::postgres::{Postgres, catalog};
use crate::seed::{Options, What};
use crate::stages::{own_tables, seed_tasks};
use crate::units::counted;

pub(super) async fn load(data: &Data<'_>, name: &str, at: Option<&str>, to: Option<&str>, table: Option<&str>, force: bool) -> Exit {
    let store = data.store()?;
    let dataset = data.dataset(name)?;
    let version = data.version(&store, name, at)?;
    if let Some(table) = table {
        let server = data.loaded.server("load into").await?;
        available(data, &store, dataset, &version).await?;
        return Ok(tell(data.shell, &[rows(data, &store, &server, name, dataset, &version, table).await?], "there is no dataset"));
    }
    let target = to.unwrap_or(&dataset.out);
    let mut there = to.is_none() && store.is_in_place(dataset, &version.pointed).map_err(Failure::broken)?;
    if !there {
        available(data, &store, dataset, &version).await?;
        match to {
            Some(to) => there = store.copy_to(&version.pointed, to).map_err(Failure::broken)?,
            None => store.bring(dataset, &version.pointed, force).await.map_err(Failure::broken)?,
        }
    }
    let said = if there { "is there already" } else { "is that version now" };
    Ok(tell(
        data.shell,
        &[Outcome::new(name, "load", Status::Passed, format!("{target} {said} (md5 {})", version.pointed.md5()))],
        "there is no dataset",
    ))
}

pub(super) async fn rollback(data: &Data<'_>, name: &str, to: &str, table: Option<&str>, force: bool) -> Exit {
    let store = data.store()?;
    let dataset = data.dataset(name)?;
    let text = data.pointer_at(name, to)?;
    let version = Store::version_of(dataset, &text).map_err(Failure::broken)?;
    let server = match table {
        Some(_) => Some(data.loaded.server("load into").await?),
        None => None,
    };
    if let Some(server) = &server {
        fits(server, name, &version).await?;
    }
    available(data, &store, dataset, &version).await?;
    let mut outcomes = Vec::new();
    // The rows first: what fails there leaves the pointer as it is.
    if let (Some(server), Some(table)) = (&server, table) {
        let loaded = rows(data, &store, server, name, dataset, &version, table).await?;
        let passed = loaded.status == Status::Passed;
        outcomes.push(loaded);
        if !passed {
            return Ok(tell(data.shell, &outcomes, "there is no dataset"));
        }
    }
    let restored = store.roll_back(dataset, &text, force).await.map_err(Failure::broken)?;
    let revision = version.meta.as_ref().and_then(|m| m.schema_revision.clone());
    let belongs = revision.map(|r| format!("; it belongs to schema revision {r}")).unwrap_or_default();
    let pointer = Store::pointer(dataset);
    outcomes.push(Outcome::new(
        name,
        "rollback",
        Status::Passed,
        format!("{pointer} and {} are those of {to} (md5 {}){belongs}", dataset.out, restored.pointed.md5()),
    ));
    Ok(tell(data.shell, &outcomes, "there is no dataset"))
}

/// The version's objects, from the cache or a remote.
async fn available(data: &Data<'_>, store: &Store<'_>, dataset: &Dataset, version: &Version) -> Result<(), Failure> {
    if store.is_in_place(dataset, &version.pointed).map_err(Failure::broken)? {
        return Ok(());
    }
    fetch(data, store, dataset, version, None).await.map(|_| ()).map_err(Failure::broken)
}

/// Rows go into a schema that can hold them.
async fn fits(server: &Postgres, name: &str, version: &Version) -> Result<(), Failure> {
    let wanted = version.meta.as_ref().and_then(|m| m.schema_revision.clone());
    let there = revision(server).await;
    match wanted {
        Some(wanted) if there.as_ref() != Some(&wanted) => {
            let there = there.unwrap_or_else(|| "none".into());
            Err(Failure::broken(format!(
                "this version of `{name}` belongs to schema revision {wanted}, and the database has {there}: `mlops migrate to {wanted}` first; nothing was changed"
            )))
        }
        _ => Ok(()),
    }
}

/// The table's generated columns.
async fn generated(server: &Postgres, table: &str) -> Result<Vec<String>, Failure> {
    let table = TableName::parse(table).map_err(Failure::usage)?;
    catalog::generated_columns(server, &table).await.map_err(Failure::broken)
}

/// By the way of every seed: one COPY in one transaction.
async fn rows(
    data: &Data<'_>,
    store: &Store<'_>,
    server: &Postgres,
    name: &str,
    dataset: &Dataset,
    version: &Version,
    table: &str,
) -> Result<Outcome, Failure> {
    if version.pointed.files().is_some() {
        return Err(Failure::usage(format!(
            "`{name}` is a folder: its columns of `partition_by` are not in its files, so it cannot be loaded into a table"
        )));
    }
    let ending = dataset.out.rsplit('.').next().unwrap_or_default();
    // The seed reads a file of the workspace by its ending.
    let folder = tempfile::Builder::new().prefix(".load-").tempdir_in(data.loaded.workspace.path_of_folder()).map_err(Failure::broken)?;
    let relative = format!("{}/rows.{ending}", folder.path().file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default());
    let from = store.only_file(dataset, &version.pointed).map_err(Failure::broken)?;
    std::os::unix::fs::symlink(from.canonicalize().map_err(Failure::broken)?, folder.path().join(format!("rows.{ending}")))
        .map_err(Failure::broken)?;
    // What the table makes itself is not loaded into it.
    let made = generated(server, table).await?;
    let named = |name: &String| version.meta.as_ref().is_some_and(|meta| meta.columns.iter().any(|c| c.name == *name));
    let skip: Vec<String> = made.into_iter().filter(named).collect();
    let entry = serde_json::json!([{"table": table, "file": relative, "skip": skip}]).to_string();
    let mut mistakes = Mistakes::default();
    let node: Node = serde_saphyr::from_str(&entry).map_err(Failure::broken)?;
    let tasks = seed_tasks(&node, &mut mistakes).filter(|_| mistakes.is_empty());
    let tasks = tasks.ok_or_else(|| Failure::usage(format!("`{table}` and {} cannot be a seed", dataset.out)))?;
    own_tables(server).await.map_err(Failure::broken)?;
    let loaded = crate::seed::load(server, &data.loaded.workspace, &tasks, &Options { anew: true, ..Options::default() }).await;
    let what = match loaded {
        Ok(mut loaded) => loaded.pop().map(|l| l.what),
        Err((_, error)) => Some(What::Failed(error)),
    };
    Ok(match what {
        Some(What::Rows { rows, .. }) => Outcome::new(name, "rows", Status::Passed, format!("{} loaded into {table}", counted(rows, "row"))),
        Some(What::Failed(error)) => {
            let status = if error.is_verdict() { Status::Failed } else { Status::Broken };
            Outcome::new(name, "rows", status, format!("{error}; nothing was changed"))
        }
        Some(What::Nothing { why, .. }) => Outcome::new(name, "rows", Status::Passed, format!("{table}: {why}")),
        Some(What::Skipped(why)) => Outcome::new(name, "rows", Status::Broken, why),
        None => Outcome::new(name, "rows", Status::Broken, "nothing was loaded"),
    })
}
