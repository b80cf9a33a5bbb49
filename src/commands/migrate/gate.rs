//! Lint and verify: the gate in front of `up`, by itself.

use std::collections::BTreeSet;

use super::{Failure, Migrations, Outcome, Shell};
use crate::commands::tell::tell;
use crate::migrate;
use crate::migrate::lint::Live;
use crate::outcome::{self, Status};
use crate::ports::postgres::Postgres;
use crate::stages::{Gate, migration_failure};

/// Versions and repeatables to look at.
type New = (BTreeSet<String>, BTreeSet<String>);

pub(super) async fn lint(shell: &Shell, all: &Migrations, every: bool) -> Outcome {
    let around = all.loaded.around(shell);
    let server = if all.has_server() { Some(all.server().await?) } else { None };
    let live = match &server {
        Some(server) => Live::read(server).await.map_err(Failure::broken)?,
        None => Live::unknown(),
    };
    let gate = Gate { section: &all.section, folder: &all.folder, options: &all.options, workspace: &all.loaded.workspace, around: &around };
    let outcomes = match new(all, server.as_ref(), every).await? {
        Ok(new) => gate.lint(server.as_ref(), &live, &new).await?,
        Err(outcomes) => outcomes,
    };
    Ok(tell(shell, &outcomes, "nothing is pending"))
}

pub(super) async fn verify(shell: &Shell, all: &Migrations, every: bool) -> Outcome {
    let around = all.loaded.around(shell);
    let server = all.server().await?;
    let gate = Gate { section: &all.section, folder: &all.folder, options: &all.options, workspace: &all.loaded.workspace, around: &around };
    let outcomes = match new(all, Some(&server), every).await? {
        Ok(new) if new.0.is_empty() => vec![],
        Ok(new) => gate.try_out(&server, &new).await?,
        Err(outcomes) => outcomes,
    };
    Ok(tell(shell, &outcomes, "nothing is pending; `--all` tries every migration"))
}

/// What is pending, or everything; the inner error is what stands in the way.
async fn new(all: &Migrations, server: Option<&Postgres>, every: bool) -> Result<Result<New, Vec<outcome::Outcome>>, Failure> {
    let Some(server) = server.filter(|_| !every) else {
        let versions = all.folder.migrations.iter().map(|m| m.version.to_string()).collect();
        return Ok(Ok((versions, all.folder.repeatables.iter().map(|r| r.name.clone()).collect())));
    };
    let found = migrate::new_ones(server, &all.folder, &all.options).await.map_err(Failure::broken)?;
    Ok(found.map_err(|troubles| {
        let failed = |t: &migrate::MigrateError| migration_failure(t, &all.section.dir, &all.loaded.workspace);
        troubles.iter().map(failed).inspect(|o| debug_assert!(o.status >= Status::Failed)).collect()
    }))
}
