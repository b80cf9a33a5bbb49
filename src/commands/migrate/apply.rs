//! Up, down and to a version.

use super::{Failure, Loaded, Migrate, Migrations, Outcome, Shell, options, say};
use crate::commands::tell::{code, line};
use crate::migrate::{Goal, Run, Source, Version, migrate, up_to_date};
use crate::stages::migration_outcomes;

pub(super) async fn go(shell: &Shell, all: &Migrations, goal: &Goal) -> Outcome {
    let server = all.server().await?;
    let run = migrate(&server, Source::App, &all.folder, goal, &all.options).await;
    Ok(told(shell, &all.loaded, &all.section, &run))
}

/// The usual case of a CI job, at half the reading; files that are wrong are for the one who reads them all.
pub(super) async fn nothing_to_do(shell: &Shell, loaded: &Loaded, section: &Migrate) -> Result<Option<u8>, Failure> {
    let Ok(folder) = section.load_up(&loaded.workspace)? else { return Ok(None) };
    let server = loaded.server("migrate").await?;
    let run = up_to_date(&server, Source::App, &folder, &options(shell, section)).await;
    Ok(run.map(|run| told(shell, loaded, section, &run)))
}

/// A version, or `0`: nothing applied.
pub(super) fn goal(text: &str) -> Result<Goal, Failure> {
    let version = Version::parse(text).ok_or_else(|| Failure::usage(format!("`{text}` is no version")))?;
    Ok(if text.bytes().all(|b| b == b'0') { Goal::Zero } else { Goal::To(version) })
}

/// The same for `down`, which goes up for nobody.
pub(super) fn below(text: &str) -> Result<Goal, Failure> {
    Ok(match goal(text)? {
        Goal::To(version) => Goal::DownTo(version),
        other => other,
    })
}

/// What was done and what stopped it; the exit code follows.
fn told(shell: &Shell, loaded: &Loaded, section: &Migrate, run: &Run) -> u8 {
    let outcomes = migration_outcomes(run, &section.dir, &loaded.workspace);
    if shell.json() {
        let json = serde_json::json!({"head": run.head, "applied_before": run.before, "schema_digest": run.schema_digest, "outcomes": outcomes});
        say(&format!("{json:#}\n"));
        return code(&outcomes);
    }
    outcomes.iter().for_each(line);
    say(&format!("at version {}\n", run.head.as_deref().unwrap_or("0 (nothing applied)")));
    code(&outcomes)
}
