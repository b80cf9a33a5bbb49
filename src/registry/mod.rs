//! The registry in the tool's own tables: which model versions exist, and what exactly each of them is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use tokio_postgres::{Client, Transaction};

use crate::names::{RelPath, Slug};
use crate::ports::files::sha256;

/// The model that a run registers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The model's name in the registry.
    pub name: Slug,
    /// A semantic version or any label. The registry numbers versions by itself.
    pub version: String,
    /// The model's file or folder.
    pub artifact: RelPath,
    /// What the model is, for people.
    pub description: Option<String>,
}

/// Everything that makes a version what it is.
#[derive(Debug, Clone)]
pub struct NewVersion {
    pub artifact_sha256: String,
    pub artifact_bytes: u64,
    /// Name → sha256 of the exact rows.
    pub datasets: BTreeMap<String, String>,
    pub schema_revision: Option<String>,
    pub git_sha: Option<String>,
    pub ci_run_url: Option<String>,
    pub metrics: Json,
    pub gates: Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    pub version: i32,
    /// False when this very version existed already.
    pub new: bool,
}

impl NewVersion {
    /// Equal for two runs of the same thing: registering again changes nothing.
    pub fn key(&self, model: &Model) -> String {
        let parts = serde_json::json!([model.name.as_str(), model.version, self.artifact_sha256, self.datasets, self.schema_revision, self.git_sha]);
        sha256(parts.to_string().as_bytes())
    }
}

/// Dataset → `name version` of the models that were made from it, the newest three of each.
pub async fn readers(client: &Client) -> Result<BTreeMap<String, Vec<String>>, tokio_postgres::Error> {
    let there = client.query_typed("select to_regclass('mlops.model_version') is not null", &[]).await?;
    let mut readers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(readers);
    }
    let sql = "select dataset, name, version from (select k as dataset, m.name, v.version, row_number() over (partition by k, m.id order by v.version desc) as n \
               from mlops.model_version v join mlops.model m on m.id = v.model_id, jsonb_object_keys(v.datasets) k) x where n <= 3 order by 1, 2, 3";
    for row in client.query_typed(sql, &[]).await? {
        let model = format!("{} version {}", row.get::<_, String>(1), row.get::<_, i32>(2));
        readers.entry(row.get(0)).or_default().push(model);
    }
    Ok(readers)
}

/// Registers a version, or finds the one that is the same; versions count up without gaps.
pub async fn register(transaction: &Transaction<'_>, model: &Model, new: &NewVersion) -> Result<Registered, tokio_postgres::Error> {
    let key = new.key(model);
    // The model's row is the lock under which its versions are numbered.
    let sql = "insert into mlops.model (name) values ($1) on conflict (name) do update set name = excluded.name returning id, next_version";
    let row = transaction.query_one(sql, &[&model.name.as_str()]).await?;
    let (id, version): (i64, i32) = (row.get(0), row.get(1));
    let known = "select version from mlops.model_version where model_id = $1 and idempotency_key = $2";
    if let Some(row) = transaction.query_opt(known, &[&id, &key]).await? {
        return Ok(Registered { version: row.get(0), new: false });
    }
    let datasets = serde_json::json!(new.datasets);
    let bytes = i64::try_from(new.artifact_bytes).unwrap_or(i64::MAX);
    let insert = "insert into mlops.model_version (model_id, version, label, description, artifact_path, artifact_sha256, artifact_bytes, \
                  datasets, schema_revision, git_sha, ci_run_url, metrics, gates, idempotency_key) \
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    transaction
        .execute(
            insert,
            &[
                &id,
                &version,
                &model.version,
                &model.description,
                &&*model.artifact,
                &new.artifact_sha256,
                &bytes,
                &datasets,
                &new.schema_revision,
                &new.git_sha,
                &new.ci_run_url,
                &new.metrics,
                &new.gates,
                &key,
            ],
        )
        .await?;
    transaction.execute("update mlops.model set next_version = next_version + 1 where id = $1", &[&id]).await?;
    Ok(Registered { version, new: true })
}
