//! Who may ship: promote, roll back, approve, quarantine.

use serde_json::{Value as Json, json};

use super::{Failure, Opened, Outcome, failure, refused, say, tell};
use crate::cli::HowArgs;
use crate::outcome::exit;
use crate::registry::{self, Expected, Mark, Reason, Refusal, Request, Target, Version, compared};
use crate::stages::registry::Around;

fn request(stage: &str, how: HowArgs, around: &Around<'_>) -> Result<Request, Failure> {
    let allow = how.allow.iter().map(|word| word.parse::<Reason>()).collect::<Result<Vec<_>, _>>();
    let allow = allow.map_err(|help| Failure::usage(format!("--allow: {help}")))?;
    Ok(Request { stage: stage.to_owned(), expect: None, allow, reason: how.reason, branch: around.actor.branch.clone() })
}

/// Tells `MLflow` as far as it can be told, and says what came of it.
async fn deliver(opened: &Opened<'_>, around: &Around<'_>, model: &str) -> Result<(), Failure> {
    if let Some(outcome) = around.deliver(&opened.registry(), model).await.map_err(failure)?
        && !opened.shell.json()
    {
        tell::line(&outcome);
    }
    Ok(())
}

fn say_json_or(opened: &Opened<'_>, json: &Json, words: &str) {
    if opened.shell.json() { say(&format!("{json:#}\n")) } else { say(&format!("{words}\n")) }
}

pub(super) async fn promote(opened: &Opened<'_>, version: &str, to: Option<String>, expect: Option<&str>, how: HowArgs) -> Outcome {
    let settings = &opened.loaded.registry;
    let stage = to.or_else(|| settings.promote.as_ref().map(|p| p.to.to_string()));
    let stage = stage.ok_or_else(|| Failure::usage("which stage? name it with --to, or in `registry.promote.to`"))?;
    let policy = settings.policy(&stage).map_err(Failure::usage)?;
    let around = opened.around()?;
    let dry = how.dry_run;
    let mut request = request(&stage, how, &around)?;
    request.expect = match expect {
        None => None,
        Some("none") => Some(Expected::Nothing),
        Some(text) => Some(Expected::Version(opened.version(text).await?.version)),
    };
    let version = opened.version(version).await?;
    let (_, evidence) = around.evidence(&version).await.map_err(failure)?;
    let done = registry::promote(&opened.registry(), &version, &policy, &request, evidence, &around.actor, around.has_follower(), dry).await;
    let promoted = match done {
        Ok(promoted) => promoted,
        Err(error) => return refused(opened, error),
    };
    let previous = promoted.previous.as_ref().filter(|_| promoted.new);
    let instead = previous.map(|d| format!(", instead of version {}", d.version)).unwrap_or_default();
    let words = match (promoted.new, dry) {
        (false, _) => format!("{} stands in {stage} already, nothing to do", version.title()),
        (true, true) => format!("{} would stand in {stage}{instead}", version.title()),
        (true, false) => format!("{} stands in {stage} now{instead}", version.title()),
    };
    let json = json!({
        "model": version.model, "version": version.version, "stage": stage, "previous": previous.map(|d| d.version), "changed": promoted.new && !dry,
    });
    say_json_or(opened, &json, &words);
    if let (Some(previous), true, false) = (previous, dry, opened.shell.json()) {
        let before = opened.version(&previous.version.to_string()).await?;
        let rows = compared(&version, &before);
        say(&super::table(&["", &format!("version {}", version.version), &format!("version {}", before.version), "change"], &rows));
    }
    if !dry {
        deliver(opened, &around, &version.model).await?;
    }
    Ok(exit::PASSED)
}

pub(super) async fn rollback(opened: &Opened<'_>, stage: &str, to: Option<&str>, how: HowArgs) -> Outcome {
    let model = opened.model()?;
    let policy = opened.loaded.registry.policy(stage).map_err(Failure::usage)?;
    let around = opened.around()?;
    let dry = how.dry_run;
    let request = request(stage, how, &around)?;
    let to = match to {
        Some(text) => Some(opened.version(text).await?.version),
        None => None,
    };
    let registry = opened.registry();
    let target = match Target::find(&registry, model, stage, to).await {
        Ok(target) => target,
        Err(error) => return refused(opened, error),
    };
    let version = opened.version(&target.restores.version.to_string()).await?;
    let (evidence, notes) = still_fits(opened, &around, &version).await?;
    notes.iter().for_each(|note| tracing::warn!("{note}"));
    let done = registry::rollback(&registry, &target, &policy, &request, evidence, &around.actor, around.has_follower(), dry).await;
    if let Err(error) = done {
        return refused(opened, error);
    }
    let skipped = target.skipped.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    let passed = if skipped.is_empty() { String::new() } else { format!(" (past version {skipped}, which is quarantined)") };
    let would = if dry { "would be" } else { "is" };
    let words = format!("{stage} {would} back at {}, from version {}{passed}", version.title(), target.standing.version);
    let json = json!({
        "model": model, "version": version.version, "stage": stage, "previous": target.standing.version, "skipped": target.skipped, "changed": !dry,
    });
    say_json_or(opened, &json, &words);
    if !dry {
        deliver(opened, &around, model).await?;
    }
    Ok(exit::PASSED)
}

/// Whether what a version needs is still there: its artifact, its data, and the columns it reads. What could not be looked
/// at is said.
async fn still_fits(opened: &Opened<'_>, around: &Around<'_>, version: &Version) -> Result<(Vec<Refusal>, Vec<String>), Failure> {
    let (_, mut refusals) = around.evidence(version).await.map_err(failure)?;
    let mut notes = Vec::new();
    let (missing, said) = around.data_of(version).await?;
    refusals.extend(missing);
    notes.extend(said);
    let url = &opened.loaded.config.core.database.url;
    if url.is_empty() {
        notes.push("the columns that the version reads were not looked for: `database.url` is empty".into());
        return Ok((refusals, notes));
    }
    let server = opened.loaded.server("compare").await?;
    refusals.extend(registry::columns_gone(&server, version).await.map_err(failure)?);
    Ok((refusals, notes))
}

pub(super) async fn mark(opened: &Opened<'_>, version: &str, mark: Mark, reason: &str) -> Outcome {
    let (version, around) = (opened.version(version).await?, opened.around()?);
    let new = registry::mark(&opened.registry(), &version, mark, reason, &around.actor, around.has_follower()).await.map_err(failure)?;
    let words = format!("{} is {} {}", version.title(), mark.word(), if new { "now" } else { "already, nothing to do" });
    let stands = if version.stages.is_empty() {
        String::new()
    } else {
        format!("; it still stands in {}: `mlops model rollback --stage {}`", version.stages.join(", "), version.stages[0])
    };
    say_json_or(
        opened,
        &json!({"version": version.version, "mark": mark.word(), "changed": new, "stages": version.stages}),
        &format!("{words}{stands}"),
    );
    deliver(opened, &around, &version.model).await?;
    Ok(exit::PASSED)
}

pub(super) async fn release(opened: &Opened<'_>, version: &str, reason: Option<&str>) -> Outcome {
    let (version, around) = (opened.version(version).await?, opened.around()?);
    let lifted = registry::release(&opened.registry(), &version, reason, &around.actor, around.has_follower()).await.map_err(failure)?;
    let words = if lifted.is_empty() {
        format!("nothing stands against {}, nothing to do", version.title())
    } else {
        format!("{} is no longer {}", version.title(), lifted.join(" and "))
    };
    say_json_or(opened, &json!({"version": version.version, "lifted": lifted}), &words);
    deliver(opened, &around, &version.model).await?;
    Ok(exit::PASSED)
}

pub(super) async fn say_of(opened: &Opened<'_>, version: &str, stage: &str, approved: bool, reason: Option<&str>) -> Outcome {
    let policy = opened.loaded.registry.policy(stage).map_err(Failure::usage)?;
    let (version, around) = (opened.version(version).await?, opened.around()?);
    registry::say(&opened.registry(), &version, stage, approved, reason, &around.actor).await.map_err(failure)?;
    let who = &around.actor.name;
    let verb = if approved { "approves of" } else { "rejects" };
    let counts = match () {
        () if !approved => "",
        () if version.actor.as_deref() == Some(who) => "; it does not count, as they registered it",
        () if !policy.approvers.is_empty() && !policy.approvers.contains(who) => "; it does not count, as they are not among the stage's approvers",
        () => "",
    };
    let json = json!({"version": version.version, "stage": stage, "approved": approved, "actor": who, "counts": counts.is_empty()});
    say_json_or(opened, &json, &format!("{who} {verb} {} for {stage}{counts}", version.title()));
    Ok(exit::PASSED)
}
