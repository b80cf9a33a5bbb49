//! A version, as `MLflow`'s own client would have made it: a run, a logged model, a model version.

use serde_json::{Value as Json, json};

use super::super::version::{InMlflow, Version};
use super::files::{pieces, upload};
use super::run::{KEY, Run, close, cut, log, open, tags};
use super::{FollowError, Follower, bytes};

pub(super) async fn tell(follower: &Follower<'_>, version: &Version) -> Result<InMlflow, FollowError> {
    let mlflow = follower.mlflow;
    if let Some(known) = find(follower, version).await? {
        // Everything else comes before it.
        return Ok(known);
    }
    let local = bytes(follower, version).await?;
    let run = open(follower, version).await?;
    let major = mlflow.major().await?;
    // Since 3.0 a model is a thing of its own; before, a folder of the run.
    let logged = if major >= 3 { Some(logged(follower, version, &run).await?) } else { None };
    let (source, uri, id) = match &logged {
        Some((id, uri)) => (format!("models:/{id}"), uri.clone(), Some(id.as_str())),
        None => (format!("{}/model", run.artifact_uri), format!("{}/model", run.artifact_uri), None),
    };
    let ids: Vec<(&str, &str)> = std::iter::once(("run_id", run.id.as_str())).chain(id.map(|id| ("model_id", id))).collect();
    upload(follower, &uri, &pieces(version, local.path(), &ids)?).await?;
    log(follower, version, &run, id).await?;
    if let Some(id) = id {
        let ready = json!({"model_id": id, "status": "LOGGED_MODEL_READY"});
        mlflow.patch(&format!("2.0/mlflow/logged-models/{id}"), &ready).await?;
        let there = mlflow.get("2.0/mlflow/runs/get", &[("run_id", &run.id)]).await?;
        // Twice the same is an error to the server.
        if !there["run"]["outputs"]["model_outputs"].as_array().into_iter().flatten().any(|output| output["model_id"] == id) {
            mlflow.post("2.0/mlflow/runs/outputs", &json!({"run_id": run.id, "models": [{"model_id": id, "step": 0}]})).await?;
        }
    }
    close(follower, version, &run).await?;
    registered(follower, version).await?;
    let mut body = json!({
        "name": version.model, "source": source, "run_id": run.id, "description": version.description.as_deref().map(|text| cut(text, 5000)), "tags": tags(&version_tags(version)),
    });
    if let Some(id) = id {
        body["model_id"] = json!(id);
    }
    if let Some(url) = version.ci_run_url.as_ref().filter(|url| url.len() <= 500) {
        body["run_link"] = json!(url);
    }
    let made = mlflow.post("2.0/mlflow/model-versions/create", &body).await?;
    known(&made["model_version"])
}

fn known(json: &Json) -> Result<InMlflow, FollowError> {
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let number = text("version").or_else(|| json["version"].as_i64().map(|n| n.to_string()));
    match (text("name"), number) {
        (Some(name), Some(version)) => {
            Ok(InMlflow { name, version, run_id: text("run_id").unwrap_or_default(), source: text("source").unwrap_or_default() })
        }
        _ => Err(FollowError::Other("MLflow's model version has no name or number".into())),
    }
}

/// The version, where an earlier delivery has made it.
pub(super) async fn find(follower: &Follower<'_>, version: &Version) -> Result<Option<InMlflow>, FollowError> {
    let filter = format!("name = '{}' AND tags.`{KEY}` = '{}'", version.model, version.mlflow_key);
    let found = follower.mlflow.get("2.0/mlflow/model-versions/search", &[("filter", &filter), ("max_results", "2")]).await?;
    found["model_versions"].get(0).map(known).transpose()
}

/// The logged model's id and where its files go.
async fn logged(follower: &Follower<'_>, version: &Version, run: &Run) -> Result<(String, String), FollowError> {
    let filter = format!("tags.`{KEY}` = '{}'", version.mlflow_key);
    let body = json!({"experiment_ids": [run.experiment], "filter": filter, "max_results": 1});
    let found = follower.mlflow.post("2.0/mlflow/logged-models/search", &body).await?;
    let model = match found["models"].get(0) {
        Some(model) => model.clone(),
        None => {
            let body = json!({
                "experiment_id": run.experiment, "name": version.model.replace('.', "-"), "source_run_id": run.id,
                "tags": tags(&[(KEY.to_owned(), version.mlflow_key.clone())]),
            });
            follower.mlflow.post("2.0/mlflow/logged-models", &body).await?["model"].clone()
        }
    };
    let text =
        |name: &str| model["info"][name].as_str().map(str::to_owned).ok_or_else(|| FollowError::Other(format!("MLflow's model has no {name}")));
    Ok((text("model_id")?, text("artifact_uri")?))
}

async fn registered(follower: &Follower<'_>, version: &Version) -> Result<(), FollowError> {
    match follower.mlflow.post("2.0/mlflow/registered-models/create", &json!({"name": version.model})).await {
        Err(error) if !error.is("RESOURCE_ALREADY_EXISTS") => Err(error.into()),
        Err(_) => {
            let there = follower.mlflow.get("2.0/mlflow/registered-models/get", &[("name", &version.model)]).await?;
            let prompt = |tag: &Json| tag["key"] == "mlflow.prompt.is_prompt" && tag["value"] == "true";
            if there["registered_model"]["tags"].as_array().into_iter().flatten().any(prompt) {
                return Err(FollowError::Other(format!("MLflow has a prompt that is called `{}`: give the model another name", version.model)));
            }
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// What people search for, and what ties the version to this registry.
pub(super) fn version_tags(version: &Version) -> Vec<(String, String)> {
    let mut tags = vec![
        (KEY.to_owned(), version.mlflow_key.clone()),
        ("mlops.registry_version".into(), version.version.to_string()),
        ("mlops.label".into(), version.label.clone()),
        ("mlops.gates".into(), version.gates_word().into()),
    ];
    let data = version.datasets.first();
    let more = [
        ("mlops.artifact_sha256", version.artifact_sha256.clone()),
        ("mlops.git_sha", version.git_sha.clone()),
        ("mlops.schema_revision", version.schema_revision.clone()),
        ("mlops.schema_digest", version.schema_digest.clone()),
        ("mlops.ci_run_url", version.ci_run_url.clone()),
        ("database_source", version.database.clone()),
        ("training_data_version", data.map(|d| d.md5.clone().unwrap_or_else(|| d.content.clone()))),
    ];
    tags.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    // Beside the metric of the run, as tags can be seen in the list; they cannot be compared there.
    for (name, value) in &version.metrics {
        let short = name.rsplit('.').next().unwrap_or(name);
        if let (true, Some(value)) = (["accuracy", "roc_auc", "f1", "rmse", "log_loss"].contains(&short), value) {
            tags.push((short.to_owned(), value.to_string()));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    tags.retain(|(key, _)| seen.insert(key.clone()));
    tags.into_iter().map(|(key, value)| (key, cut(&value, 5000))).collect()
}
