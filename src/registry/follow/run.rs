//! The run of a version: parameters, measures and the data it saw, in `MLflow`'s words.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::super::version::{Data, Version};
use super::{FollowError, Follower};
use crate::ports::mlflow::Mlflow;

/// What one batch may hold.
const BATCH: usize = 100;
/// Longer ones are cut by the server without a word.
const LONGEST: usize = 6000;

pub(super) struct Run {
    pub(super) id: String,
    pub(super) experiment: String,
    pub(super) artifact_uri: String,
}

pub(super) fn tags(pairs: &[(String, String)]) -> Vec<Json> {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// By what a delivery that was cut off is found again.
pub(super) const KEY: &str = "mlops.idempotency_key";

/// The experiment's id; a deleted one is brought back.
async fn experiment(mlflow: &Mlflow, name: &str) -> Result<String, FollowError> {
    let query = [("experiment_name", name)];
    let get = || mlflow.get("2.0/mlflow/experiments/get-by-name", &query);
    let id = |json: &Json| {
        json["experiment"]["experiment_id"].as_str().map(str::to_owned).ok_or_else(|| FollowError::Other("MLflow names no experiment".into()))
    };
    match get().await {
        Ok(json) => {
            let id = id(&json)?;
            if json["experiment"]["lifecycle_stage"] == "deleted" {
                mlflow.post("2.0/mlflow/experiments/restore", &json!({"experiment_id": id})).await?;
            }
            Ok(id)
        }
        Err(error) if error.is("RESOURCE_DOES_NOT_EXIST") => {
            match mlflow.post("2.0/mlflow/experiments/create", &json!({"name": name})).await {
                Ok(json) => json["experiment_id"].as_str().map(str::to_owned).ok_or_else(|| FollowError::Other("MLflow names no experiment".into())),
                // Somebody was faster.
                Err(error) if error.is("RESOURCE_ALREADY_EXISTS") => id(&get().await?),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn run_tags(follower: &Follower<'_>, version: &Version) -> Vec<(String, String)> {
    let mut tags = vec![
        (KEY.to_owned(), version.mlflow_key.clone()),
        ("mlflow.source.name".into(), follower.project.to_owned()),
        ("mlflow.source.type".into(), "JOB".into()),
    ];
    let more = [("mlflow.user", &version.actor), ("mlflow.source.git.commit", &version.git_sha), ("mlops.ci_run_url", &version.ci_run_url)];
    tags.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
    tags
}

/// Finds or begins the run.
pub(super) async fn open(follower: &Follower<'_>, version: &Version) -> Result<Run, FollowError> {
    let mlflow = follower.mlflow;
    let experiment = experiment(mlflow, follower.experiment).await?;
    let filter = format!("tags.`{KEY}` = '{}'", version.mlflow_key);
    let found = mlflow.post("2.0/mlflow/runs/search", &json!({"experiment_ids": [experiment], "filter": filter, "max_results": 1})).await?;
    let info = match found["runs"].get(0) {
        Some(run) => run["info"].clone(),
        None => {
            let body = json!({
                "experiment_id": experiment, "start_time": version.created_at.timestamp_millis(),
                "run_name": format!("{} v{}", version.model, version.version), "tags": tags(&run_tags(follower, version)),
            });
            mlflow.post("2.0/mlflow/runs/create", &body).await?["run"]["info"].clone()
        }
    };
    let text = |name: &str| info[name].as_str().map(str::to_owned).ok_or_else(|| FollowError::Other(format!("MLflow's run has no {name}")));
    Ok(Run { id: text("run_id")?, experiment, artifact_uri: text("artifact_uri")? })
}

/// What a key may not hold becomes `_`.
fn key(text: &str) -> String {
    // A slash is allowed, but not everywhere, and so are dots in front.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':');
    let key: String = text.chars().map(|c| if fits(c) { c } else { '_' }).take(240).collect();
    match key.trim().trim_start_matches('.') {
        "" => "_".into(),
        key => key.to_owned(),
    }
}

fn short(text: &str) -> String {
    cut(text, LONGEST)
}

/// So many characters at the most.
pub(super) fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest { text.to_owned() } else { text.chars().take(longest - 1).chain(['…']).collect() }
}

/// The columns of a dataset: name and type.
pub(super) fn columns(data: &Data) -> Vec<(&str, &str)> {
    let all = data.columns.as_ref().and_then(Json::as_array);
    all.into_iter().flatten().filter_map(|c| Some((c["name"].as_str()?, c["type"].as_str()?))).collect()
}

fn params(version: &Version) -> Vec<(String, String)> {
    let mut params: Vec<(String, String)> =
        version.params.iter().map(|(name, value)| (key(name), short(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)))).collect();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|_| !version.params.contains_key(name)) {
            params.push((name.to_owned(), short(&value)));
        }
    };
    add("database_type", Some("postgresql".into()));
    add("database_version", version.database.clone());
    add("schema_revision", version.schema_revision.clone());
    if let Some(data) = version.datasets.first() {
        let named = |side: &str| version.signature.as_ref().and_then(|s| s[side].as_array()).filter(|list| side == "features" || list.len() > 1);
        let pairs =
            |list: &Vec<Json>| list.iter().filter_map(|f| Some((f["name"].as_str()?.to_owned(), f["type"].as_str()?.to_owned()))).collect::<Vec<_>>();
        // A model with an input for each column names them itself.
        let features = named("features").or_else(|| named("inputs")).map(pairs);
        let features = features.unwrap_or_else(|| columns(data).into_iter().map(|(n, t)| (n.to_owned(), t.to_owned())).collect());
        add("table_name", data.source.clone());
        add("data_version", Some(data.md5.clone().unwrap_or_else(|| data.content.clone())));
        add("training_data_size", data.rows.map(|n| n.to_string()));
        add("num_features", (!features.is_empty()).then(|| features.len().to_string()));
        let kinds: Map<String, Json> = features.into_iter().map(|(name, kind)| (name, json!(kind))).collect();
        add("feature_types", (!kinds.is_empty()).then(|| Json::Object(kinds).to_string()));
    }
    params
}

/// Everything of the run; the same again changes nothing.
pub(super) async fn log(follower: &Follower<'_>, version: &Version, run: &Run, model_id: Option<&str>) -> Result<(), FollowError> {
    let at = version.created_at.timestamp_millis();
    let metric = |(name, value): (&String, &Option<f64>)| {
        let mut metric = json!({"key": key(name), "value": (*value)?, "timestamp": at, "step": 0});
        if let Some(id) = model_id {
            metric["model_id"] = json!(id);
        }
        Some(metric)
    };
    let metrics: Vec<Json> = version.metrics.iter().filter_map(metric).collect();
    for batch in metrics.chunks(BATCH) {
        follower.mlflow.post("2.0/mlflow/runs/log-batch", &json!({"run_id": run.id, "metrics": batch})).await?;
    }
    for batch in tags(&distinct(params(version))).chunks(BATCH) {
        follower.mlflow.post("2.0/mlflow/runs/log-batch", &json!({"run_id": run.id, "params": batch})).await?;
    }
    let datasets: Vec<Json> = version.datasets.iter().map(dataset).collect();
    if !datasets.is_empty() {
        follower.mlflow.post("2.0/mlflow/runs/log-inputs", &json!({"run_id": run.id, "datasets": datasets})).await?;
    }
    Ok(())
}

/// Names that have become the same are told apart by a number.
fn distinct(params: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (name, value) in params {
        let other = (2..).map(|n| format!("{name}_{n}"));
        if let Some(name) = std::iter::once(name.clone()).chain(other).find(|name| !seen.contains(name)) {
            seen.insert(name.clone());
            all.push((name, value));
        }
    }
    all
}

fn dataset(data: &Data) -> Json {
    // 36 characters at most: DVC's md5 fits, a sha256 does not.
    let digest: String = data.md5.as_deref().unwrap_or(&data.content).chars().take(36).collect();
    let spec: Vec<Json> = columns(data).into_iter().map(|(name, kind)| json!({"name": name, "type": spec(kind), "required": false})).collect();
    json!({
        "tags": [{"key": "mlflow.data.context", "value": "training"}],
        "dataset": {
            "name": data.name, "digest": digest, "source_type": "code",
            "source": json!({"tags": {"mlflow.source.name": data.source, "mlops.remote": data.remote, "mlops.content": data.content}}).to_string(),
            "schema": json!({"mlflow_colspec": spec}).to_string(),
            "profile": json!({"num_rows": data.rows}).to_string(),
        },
    })
}

/// `MLflow`'s word for a type of a column.
pub(super) fn spec(kind: &str) -> &'static str {
    match kind {
        "bool" => "boolean",
        "int16" | "int32" => "integer",
        "int64" | "uint32" => "long",
        "float32" => "float",
        "float64" => "double",
        "binary" => "binary",
        "date" | "timestamp" | "timestamp with time zone" => "datetime",
        kind if kind.starts_with("decimal") => "double",
        _ => "string",
    }
}

pub(super) async fn close(follower: &Follower<'_>, version: &Version, run: &Run) -> Result<(), FollowError> {
    let body = json!({"run_id": run.id, "status": "FINISHED", "end_time": version.created_at.timestamp_millis()});
    follower.mlflow.post("2.0/mlflow/runs/update", &body).await?;
    Ok(())
}
