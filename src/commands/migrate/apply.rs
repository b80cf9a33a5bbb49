//! Up, down and to a version.

use super::{Failure, Loaded, Migrate, Migrations, Outcome, Shell, options, say};
use crate::migrate::{Goal, Run, Source, Version, migrate, up_to_date};
use crate::outcome::{self, Status, exit};
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

/// Outcomes by themselves.
pub(super) fn tell(shell: &Shell, outcomes: &[outcome::Outcome], nothing: &str) -> u8 {
    if shell.json() {
        say(&format!("{:#}\n", serde_json::json!({"outcomes": outcomes})));
    } else if outcomes.is_empty() {
        say(&format!("{nothing}\n"));
    } else {
        outcomes.iter().for_each(line);
    }
    code(outcomes)
}

fn line(o: &outcome::Outcome) {
    let took = if o.elapsed.is_zero() { String::new() } else { format!(" ({:.0?})", o.elapsed) };
    say(&format!("{} {} {}: {}{took}\n", o.status.word(), o.subject, o.name, o.message));
    o.remedy.iter().for_each(|remedy| say(&format!("    → {remedy}\n")));
    o.evidence.iter().for_each(|evidence| say(&format!("    {evidence}\n")));
}

fn code(outcomes: &[outcome::Outcome]) -> u8 {
    let any = |status: Status| outcomes.iter().any(|o| o.status == status);
    // What failed would fail again; what could not be evaluated might not.
    match (any(Status::Failed), any(Status::Broken)) {
        (true, _) => exit::FAILED,
        (_, true) => exit::BROKEN,
        _ => exit::PASSED,
    }
}
