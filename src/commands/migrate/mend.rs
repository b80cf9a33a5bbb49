//! Stamp and repair: the history alone.

use super::{Failure, Migrations, Outcome, Shell, say};
pub(super) use crate::migrate::Repair;
use crate::migrate::{self, Mended, MigrateError};
use crate::outcome::exit;

pub(super) async fn stamp(shell: &Shell, all: &Migrations, version: &str) -> Outcome {
    let version = all.version(version)?;
    let server = all.server().await?;
    let mended = migrate::stamp(&server, &all.folder, &version, &all.options).await.map_err(failure)?;
    Ok(told(shell, &mended, "recorded already: nothing to do"))
}

pub(super) async fn repair(shell: &Shell, all: &Migrations, version: Option<&str>, what: Repair) -> Outcome {
    let version = version.map(|text| all.version(text)).transpose()?;
    let server = all.server().await?;
    let mended = migrate::repair(&server, &all.folder, version.as_ref(), what, &all.options).await.map_err(failure)?;
    Ok(told(shell, &mended, "history and files agree: nothing to repair"))
}

fn failure(error: MigrateError) -> Failure {
    if matches!(error, MigrateError::NoVersion { .. }) { Failure::usage(error.to_string()) } else { Failure::broken(error) }
}

pub(super) fn told(shell: &Shell, mended: &Mended, nothing: &str) -> u8 {
    if shell.json() {
        say(&format!("{:#}\n", serde_json::json!(mended)));
    } else {
        for line in mended.done.iter().chain(&mended.left) {
            say(&format!("{line}\n"));
        }
        if mended.done.is_empty() && mended.left.is_empty() {
            say(&format!("{nothing}\n"));
        }
    }
    if mended.left.is_empty() { exit::PASSED } else { exit::FAILED }
}
