//! What the registry knows.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::{Failure, Opened, Outcome, failure, say, table};
use crate::cli::CurrentPart;
use crate::outcome::exit;
use crate::registry::{self, Condition, Kept, Standing, Version, compared, differing, number};
use crate::units::{count, counted};

pub(super) fn when(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(format!("{:#}\n", serde_json::to_value(value).map_err(Failure::broken)?))
}

pub(super) async fn list(opened: &Opened<'_>, limit: u32, all: bool, models: bool) -> Outcome {
    let registry = opened.registry();
    if models || opened.name.is_none() {
        let known = registry::models(&registry).await.map_err(failure)?;
        if opened.shell.json() {
            say(&json(&json!({"models": known}))?);
        } else if known.is_empty() {
            say("the registry has no model yet\n");
        } else {
            let stages =
                |m: &registry::KnownModel| m.stages.iter().map(|(stage, version)| format!("{stage}: {version}")).collect::<Vec<_>>().join(", ");
            let rows: Vec<Vec<String>> = known.iter().map(|m| vec![m.name.clone(), m.versions.to_string(), stages(m)]).collect();
            say(&table(&["model", "versions", "stages"], &rows));
        }
        return Ok(exit::PASSED);
    }
    let model = opened.model()?;
    known(opened, model).await?;
    let limit = if all { i64::MAX } else { i64::from(limit) };
    tell_versions(opened, &registry::list(&registry, model, limit).await.map_err(failure)?, &format!("the registry has no version of {model} yet"))
}

/// A name that nobody registered is a slip of the pen.
async fn known(opened: &Opened<'_>, model: &str) -> Result<(), Failure> {
    let all = registry::models(&opened.registry()).await.map_err(failure)?;
    let names = || all.iter().map(|m| m.name.as_str());
    if names().any(|name| name == model) {
        return Ok(());
    }
    Err(Failure::usage(format!("the registry has no model `{model}`; {}", crate::mistakes::suggestion(model, names().collect::<Vec<_>>(), "models"))))
}

fn tell_versions(opened: &Opened<'_>, versions: &[Version], nothing: &str) -> Outcome {
    if opened.shell.json() {
        say(&json(&json!({"versions": versions}))?);
    } else if versions.is_empty() {
        say(&format!("{nothing}\n"));
    } else {
        let rows: Vec<Vec<String>> = versions.iter().map(row).collect();
        say(&table(&["model", "version", "label", "registered", "by", "gates", "stands in", "commit", "data"], &rows));
    }
    Ok(exit::PASSED)
}

fn row(v: &Version) -> Vec<String> {
    let short = |text: Option<&String>| text.map(|t| t.chars().take(8).collect()).unwrap_or_default();
    let stands = v.stages.iter().cloned().chain(v.marks.iter().map(|m| m.kind.clone())).collect::<Vec<_>>().join(", ");
    let data = v.datasets.first().map(|d| d.md5.as_ref().unwrap_or(&d.content));
    vec![
        v.model.clone(),
        v.version.to_string(),
        v.label.clone(),
        when(v.created_at),
        v.actor.clone().unwrap_or_default(),
        v.gates_word().into(),
        stands,
        short(v.git_sha.as_ref()),
        short(data),
    ]
}

pub(super) async fn search(opened: &Opened<'_>, conditions: &[String], limit: u32, everywhere: bool) -> Outcome {
    let conditions = conditions.iter().map(|text| Condition::parse(text)).collect::<Result<Vec<_>, _>>().map_err(Failure::usage)?;
    let model = if everywhere { None } else { Some(opened.model()?) };
    let found = registry::search(&opened.registry(), model, &conditions, i64::from(limit)).await.map_err(failure)?;
    tell_versions(opened, &found, "no version is like that")
}

pub(super) async fn show(opened: &Opened<'_>, version: &str) -> Outcome {
    let version = opened.version(version).await?;
    if opened.shell.json() {
        say(&json(&version)?);
        return Ok(exit::PASSED);
    }
    say(&described(&version));
    Ok(exit::PASSED)
}

/// Everything about a version, a line each.
fn described(v: &Version) -> String {
    let mut lines = vec![v.title()];
    let mut add = |name: &str, text: Option<String>| {
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            lines.push(format!("  {name:<12} {text}"));
        }
    };
    add("description", v.description.clone());
    let by = v.actor.clone().unwrap_or_else(|| v.created_by.clone());
    add("registered", Some(format!("{} by {by}{}", when(v.created_at), v.ci_run_url.as_ref().map(|u| format!(" in {u}")).unwrap_or_default())));
    let dirty = if v.git_dirty == Some(true) { ", with changes that were not committed" } else { "" };
    add("commit", v.git_sha.as_ref().map(|sha| format!("{sha}{dirty}")));
    add("adopted from", v.adopted_from.clone());
    let size = v.artifact_bytes.and_then(|n| u64::try_from(n).ok()).map(|n| format!(" ({})", crate::units::Bytes(n))).unwrap_or_default();
    add("artifact", v.artifact_path.as_ref().map(|path| format!("{path}{size}, {}", v.framework.as_deref().unwrap_or("other"))));
    add("sha256", v.artifact_sha256.clone());
    add("kept", Some(v.artifact_uri.clone().unwrap_or_else(|| "nowhere".into())));
    for data in &v.datasets {
        let rows = data.rows.and_then(|n| u64::try_from(n).ok()).map(|n| format!(", {}", counted(n, "row"))).unwrap_or_default();
        add("data", Some(format!("{}: {}{rows}", data.name, data.md5.as_ref().unwrap_or(&data.content))));
    }
    add("schema", v.schema_revision.clone());
    add("database", v.database.clone());
    let params = v.params.iter().map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    add("params", Some(params.collect::<Vec<_>>().join(", ")));
    add("gates", Some(v.gates_word().to_owned()));
    for gate in v.gates.as_ref().and_then(Json::as_array).into_iter().flatten().filter(|g| g["status"] != "passed") {
        let text = |name: &str| gate[name].as_str().unwrap_or_default().to_owned();
        add("", Some(format!("{} {} {}: {}", text("status"), text("subject"), text("name"), text("message"))));
    }
    for (name, value) in v.metrics.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        add("metric", Some(format!("{name} = {}", number(value))));
    }
    for mark in &v.marks {
        add(&mark.kind, Some(format!("since {} by {}: {}", when(mark.set_at), mark.actor, mark.reason)));
    }
    add("stands in", Some(v.stages.join(", ")));
    add("MLflow", v.mlflow.as_ref().map(|m| format!("version {} of {}, run {}", m.version, m.name, m.run_id)));
    lines.join("\n") + "\n"
}

pub(super) async fn current(opened: &Opened<'_>, stage: Option<&str>, part: Option<CurrentPart>) -> Outcome {
    let model = opened.model()?;
    if let Some(stage) = stage {
        opened.loaded.registry.policy(stage).map_err(Failure::usage)?;
    }
    let standing = registry::current(&opened.registry(), model, stage).await.map_err(failure)?;
    if standing.is_empty() && stage.is_some() {
        // For scripts: nothing there is not a version.
        return Err(Failure::failed(format!("no version of {model} stands in {}", stage.unwrap_or_default())));
    }
    if opened.shell.json() {
        say(&json(&json!({"current": standing}))?);
        return Ok(exit::PASSED);
    }
    if let Some(part) = part {
        for one in &standing {
            let v = &one.version;
            let text = match part {
                CurrentPart::Version => Some(v.version.to_string()),
                CurrentPart::Label => Some(v.label.clone()),
                CurrentPart::Uri => v.artifact_uri.clone(),
                CurrentPart::Sha256 => v.artifact_sha256.clone(),
            };
            let text = text.ok_or_else(|| Failure::failed(format!("the artifact of {} is kept nowhere", v.title())))?;
            say(&format!("{text}\n"));
        }
        return Ok(exit::PASSED);
    }
    if standing.is_empty() {
        say(&format!("no version of {model} stands anywhere\n"));
        return Ok(exit::PASSED);
    }
    let row = |s: &Standing| {
        let d = &s.deployment;
        vec![d.stage.clone(), d.version.to_string(), d.label.clone(), when(d.started_at), d.actor.clone(), d.kind.clone(), d.id.to_string()]
    };
    let rows: Vec<Vec<String>> = standing.iter().map(row).collect();
    say(&table(&["stage", "version", "label", "since", "by", "kind", "deployment"], &rows));
    Ok(exit::PASSED)
}

pub(super) async fn history(opened: &Opened<'_>, stage: Option<&str>, limit: u32) -> Outcome {
    let model = opened.model()?;
    known(opened, model).await?;
    if let Some(stage) = stage {
        opened.loaded.registry.policy(stage).map_err(Failure::usage)?;
    }
    let events = registry::events(&opened.registry(), model, stage, i64::from(limit)).await.map_err(failure)?;
    if opened.shell.json() {
        say(&json(&json!({"events": events}))?);
        return Ok(exit::PASSED);
    }
    if events.is_empty() {
        say(&format!("nothing happened to {model} yet\n"));
    }
    for event in &events {
        say(&format!("{}  {}  {}\n", when(event.at), event.actor, told(&event.kind, &event.payload)));
    }
    Ok(exit::PASSED)
}

/// An event in words.
pub(super) fn told(kind: &str, payload: &Json) -> String {
    let text = |name: &str| payload[name].as_str().map(str::to_owned);
    let version = payload["version"].to_string();
    let reason = text("reason").map(|r| format!(": {r}")).unwrap_or_default();
    let stage = text("stage").unwrap_or_default();
    let previous = payload["previous"].as_i64().map(|n| format!(" instead of version {n}")).unwrap_or_default();
    let allowed: Vec<&str> = payload["allowed"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let despite = if allowed.is_empty() { String::new() } else { format!(", in spite of {}", allowed.join(", ")) };
    match kind {
        "registered" => format!("registered version {version} ({})", text("label").unwrap_or_default()),
        "promoted" => format!("promoted version {version} to {stage}{previous}{despite}{reason}"),
        "rolled_back" => format!("rolled {stage} back to version {version} from version {}{despite}{reason}", payload["previous"]),
        "approved" | "rejected" => format!("{kind} version {version} for {stage}{reason}"),
        "released" => format!("released version {version}{reason}"),
        other => format!("{other} version {version}{reason}"),
    }
}

pub(super) async fn compare(opened: &Opened<'_>, one: &str, other: &str) -> Outcome {
    let (one, other) = (opened.version(one).await?, opened.version(other).await?);
    if opened.shell.json() {
        say(&json(&json!({"one": one.version, "other": other.version, "differing": differing(&one, &other)}))?);
        return Ok(exit::PASSED);
    }
    // From the first to the second.
    let mut rows = compared(&other, &one);
    rows.iter_mut().for_each(|row| row.swap(1, 2));
    if rows.is_empty() {
        say(&format!("{} and {} are the same in everything\n", one.title(), other.title()));
    } else {
        say(&table(&["", &format!("version {}", one.version), &format!("version {}", other.version), "change"], &rows));
    }
    Ok(exit::PASSED)
}

pub(super) async fn verify(opened: &Opened<'_>, artifacts: bool, head: Option<&str>) -> Outcome {
    let (model, registry) = (opened.model()?, opened.registry());
    let mut verified = registry::verify(&registry, model).await.map_err(failure)?;
    if let Some(head) = head {
        if head.len() < 8 {
            return Err(Failure::usage("--head: at least 8 characters of the digest"));
        }
        let known = registry::has_event(&registry, model, head).await.map_err(failure)?;
        if !known {
            verified.wrong.push(format!("no event has the digest {head}: the history that led to it was rewritten"));
        }
    }
    let mut looked = 0;
    if artifacts {
        let around = opened.around()?;
        for version in registry::list(&registry, model, i64::MAX).await.map_err(failure)?.iter().filter(|v| v.artifact_uri.is_some()) {
            looked += 1;
            let (kept, _) = around.evidence(version).await.map_err(failure)?;
            match kept {
                Kept::Whole | Kept::Here => {}
                Kept::Missing(why) => verified.wrong.push(format!("version {}: its artifact is gone: {why}", version.version)),
                Kept::Changed(why) => verified.wrong.push(format!("version {}: its artifact was changed: {why}", version.version)),
            }
        }
    }
    if opened.shell.json() {
        let all =
            json!({"events": verified.events, "versions": verified.versions, "artifacts": looked, "head": verified.head, "wrong": verified.wrong});
        say(&json(&all)?);
    } else {
        verified.wrong.iter().for_each(|wrong| say(&format!("failed {wrong}\n")));
        let events = counted(verified.events, "event");
        let versions = counted(verified.versions, "version");
        let verdict = if verified.wrong.is_empty() { "all as it was written" } else { "not as it was written" };
        say(&format!(
            "{model}: {events}, {versions}, {} verified: {verdict}\nhead {}\n",
            match looked {
                1 => "1 artifact".to_owned(),
                n => format!("{} artifacts", count(n)),
            },
            verified.head
        ));
    }
    Ok(if verified.wrong.is_empty() { exit::PASSED } else { exit::FAILED })
}
