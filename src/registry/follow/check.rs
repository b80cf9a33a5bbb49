//! What somebody changed in MLflow by hand.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::super::read::{current, list};
use super::super::session::{Registry, RegistryError};
use super::super::settings::alias;
use super::super::version::Version;
use super::run::KEY;
use super::version::version_tags;
use super::{Follower, status};
use crate::ports::mlflow::{Mlflow, MlflowError};

/// One thing that MLflow says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The alias or version.
    pub what: String,
    pub message: String,
}

/// Compares aliases, versions, their tags and runs with the registry.
pub async fn check(registry: &Registry<'_>, model: &str, follower: &Follower<'_>) -> Result<Vec<Difference>, RegistryError> {
    let mut differences = Vec::new();
    let mut say = |what: String, message: String| differences.push(Difference { what, message });
    let theirs = match follower.mlflow.get("2.0/mlflow/registered-models/get", &[("name", model)]).await {
        Ok(json) => json["registered_model"].clone(),
        Err(error) if error.is("RESOURCE_DOES_NOT_EXIST") => Json::Null,
        Err(error) => return Err(other(error)),
    };
    let told: Vec<Version> = list(registry, model, i64::MAX).await?.into_iter().filter(|v| v.mlflow.is_some()).collect();
    if theirs.is_null() {
        if !told.is_empty() {
            say(model.to_owned(), format!("MLflow has no model `{model}` any more, which had {} versions", told.len()));
        }
        return Ok(differences);
    }
    let mut aliases: BTreeMap<&str, &str> = BTreeMap::new();
    for pair in theirs["aliases"].as_array().into_iter().flatten() {
        aliases.insert(pair["alias"].as_str().unwrap_or_default(), pair["version"].as_str().unwrap_or_default());
    }
    for standing in current(registry, model, None).await? {
        let (stage, here) = (&standing.deployment.stage, standing.version.version);
        let there = aliases.remove(alias(stage).as_str());
        let Some(known) = &standing.version.mlflow else { continue };
        let ours = format!("here version {here} stands, which is its version {}", known.version);
        match there {
            Some(version) if version == known.version => {}
            Some(version) => say(format!("@{stage}"), format!("MLflow's alias leads to its version {version}; {ours}")),
            None => say(format!("@{stage}"), format!("MLflow has no such alias; {ours}")),
        }
        let run = follower.mlflow.get("2.0/mlflow/runs/get", &[("run_id", &known.run_id)]).await;
        match run {
            Ok(json) if json["run"]["info"]["lifecycle_stage"] != "deleted" => {}
            Ok(_) => say(format!("version {here}"), format!("its run {} was deleted in MLflow", known.run_id)),
            Err(error) if error.is("RESOURCE_DOES_NOT_EXIST") => {
                say(format!("version {here}"), format!("MLflow has no run {} any more", known.run_id));
            }
            Err(error) => return Err(other(error)),
        }
    }
    for (alias, version) in aliases {
        say(format!("@{alias}"), format!("MLflow's alias leads to its version {version}; here nothing stands in such a stage"));
    }
    let mut versions = all(follower.mlflow, model).await?;
    for version in told {
        let Some(known) = &version.mlflow else { continue };
        let what = format!("version {}", version.version);
        let Some(there) = versions.remove(&known.version) else {
            say(what, format!("MLflow has no version {} any more", known.version));
            continue;
        };
        for message in changed(&version, &there) {
            say(what.clone(), message);
        }
    }
    for number in versions.keys() {
        say(format!("MLflow's version {number}"), "this registry did not make it".into());
    }
    Ok(differences)
}

fn other(error: MlflowError) -> RegistryError {
    RegistryError::Other(error.to_string())
}

/// Every version of a model, by its number.
async fn all(mlflow: &Mlflow, model: &str) -> Result<BTreeMap<String, Json>, RegistryError> {
    let (filter, mut token, mut versions) = (format!("name = '{model}'"), String::new(), BTreeMap::new());
    loop {
        let query = [("filter", filter.as_str()), ("max_results", "500"), ("page_token", &token)];
        let page = mlflow.get("2.0/mlflow/model-versions/search", &query[..if token.is_empty() { 2 } else { 3 }]).await.map_err(other)?;
        for version in page["model_versions"].as_array().into_iter().flatten() {
            let number = version["version"].as_str().map(str::to_owned).or_else(|| version["version"].as_i64().map(|n| n.to_string()));
            versions.insert(number.unwrap_or_default(), version.clone());
        }
        match page["next_page_token"].as_str().filter(|next| !next.is_empty()) {
            Some(next) => next.clone_into(&mut token),
            None => return Ok(versions),
        }
    }
}

/// What is not as it was told.
fn changed(version: &Version, there: &Json) -> Vec<String> {
    let tag = |key: &str| there["tags"].as_array().into_iter().flatten().find(|t| t["key"] == key).and_then(|t| t["value"].as_str());
    let mut messages = Vec::new();
    // The key first: with another one it is another version.
    let mut wanted = version_tags(version);
    wanted.sort_by_key(|(key, _)| key != KEY);
    for (key, ours) in wanted {
        if tag(&key) != Some(&*ours) {
            messages.push(format!("MLflow's tag {key} is {}, not {ours}", tag(&key).unwrap_or("gone")));
        }
    }
    let marked = status(version);
    let said = tag("mlops.status").unwrap_or("released");
    if said != marked {
        messages.push(format!("MLflow's tag mlops.status is {}, not {marked}", tag("mlops.status").unwrap_or("gone")));
    }
    let source = version.mlflow.as_ref().map(|m| m.source.as_str());
    if there["source"].as_str() != source {
        messages.push(format!("MLflow takes it from {}, not from {}", there["source"].as_str().unwrap_or("nowhere"), source.unwrap_or("nowhere")));
    }
    messages
}
