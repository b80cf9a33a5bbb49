//! A version for others.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::show::{told, when};
use super::{Failure, Opened, Outcome, failure, say};
use crate::cli::ExportForm;
use crate::outcome::exit;
use crate::registry::{self, Story, number, signed, statement};
use crate::units::count;

pub(super) async fn export(opened: &Opened<'_>, version: &str, form: ExportForm, key: Option<&Path>) -> Outcome {
    if key.is_some() && form != ExportForm::Provenance {
        return Err(Failure::usage("--key signs the provenance: add `--as provenance`"));
    }
    let registry = opened.registry();
    let version = opened.version(version).await?;
    match form {
        ExportForm::Json => {
            let events = registry::events(&registry, &version.model, None, i64::MAX).await.map_err(failure)?;
            let own: Vec<_> = events.into_iter().filter(|e| e.payload["version"] == json!(version.version)).collect();
            let story = Story::of(&registry, version).await.map_err(failure)?;
            say(&format!("{:#}\n", serde_json::to_value(json!({"story": story, "events": own})).map_err(Failure::broken)?));
        }
        ExportForm::Card => {
            let events = registry::events(&registry, &version.model, None, i64::MAX).await.map_err(failure)?;
            let story = Story::of(&registry, version).await.map_err(failure)?;
            let card = opened.loaded.templates.render("model-card.md", &card(&story, &events)).map_err(Failure::broken)?;
            say(&if opened.shell.json() { format!("{:#}\n", json!({"card": card})) } else { card });
        }
        ExportForm::Provenance => {
            let statement = statement(&version).map_err(Failure::failed)?;
            let json = match key {
                Some(key) => signed(&statement, key).map_err(Failure::usage)?,
                None => statement,
            };
            say(&format!("{json:#}\n"));
        }
    }
    Ok(exit::PASSED)
}

fn card(story: &Story, events: &[registry::Event]) -> Json {
    let v = &story.version;
    let facts: Vec<(&str, Option<String>)> = vec![
        ("label", Some(v.label.clone())),
        ("registered", Some(format!("{} by {}", when(v.created_at), v.actor.as_deref().unwrap_or(&v.created_by)))),
        ("commit", v.git_sha.clone()),
        ("CI run", v.ci_run_url.clone()),
        ("framework", v.framework.clone()),
        ("artifact", v.artifact_path.clone()),
        ("sha256", v.artifact_sha256.clone()),
        ("kept", v.artifact_uri.clone()),
        ("database", v.database.clone()),
        ("schema revision", v.schema_revision.clone()),
        ("stands in", Some(v.stages.join(", ")).filter(|s| !s.is_empty())),
        ("adopted from", v.adopted_from.clone()),
    ];
    let facts: Vec<[String; 2]> = facts.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).collect();
    let datasets: Vec<Json> = v
        .datasets
        .iter()
        .map(|d| {
            json!({
                "name": d.name, "rows": d.rows.and_then(|n| u64::try_from(n).ok()).map(count), "md5": d.md5.as_ref().unwrap_or(&d.content),
                "columns": d.columns.as_ref().and_then(Json::as_array).map(Vec::len), "source": d.source,
                "schema": d.schema_revision.as_ref().or(v.schema_revision.as_ref()),
            })
        })
        .collect();
    let metrics: Vec<[String; 2]> = v.metrics.iter().filter_map(|(name, value)| Some([name.clone(), number((*value)?)])).collect();
    let gates = v.gates.as_ref().and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let finding = |gate: &Json| {
        let text = |name: &str| gate[name].as_str().unwrap_or_default();
        format!("{}: {} {}: {}", text("status"), text("subject"), text("name"), text("message"))
    };
    let findings: Vec<String> = gates.iter().filter(|gate| gate["status"] != "passed").map(finding).collect();
    let params: Vec<[String; 2]> =
        v.params.iter().map(|(name, value)| [name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)]).collect();
    let features = v.signature.as_ref().and_then(|s| s["features"].as_array()).map(|list| {
        list.iter()
            .map(|f| format!("{} ({})", f["name"].as_str().unwrap_or_default(), f["type"].as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ")
    });
    let later = |event: &&registry::Event| event.payload["version"] == json!(v.version) && event.kind != "registered";
    let said: Vec<String> =
        events.iter().rev().filter(later).map(|e| format!("{}, {}: {}", when(e.at), e.actor, told(&e.kind, &e.payload))).collect();
    json!({
        "model": v.model, "version": v.version, "description": v.description, "facts": facts, "datasets": datasets, "metrics": metrics,
        "gates": format!("{}: {}.", v.gates_word(), story.gates()), "findings": findings, "params": params, "features": features, "said": said,
    })
}
