//! What the registry knows, for whoever asks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::session::{Registry, RegistryError};
use super::version::{OF_MODEL, Version, Which, select};

/// One version's time in a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    pub id: i64,
    #[serde(skip_serializing, default)]
    pub version_id: i64,
    pub model: String,
    pub version: i32,
    pub label: String,
    pub stage: String,
    pub kind: String,
    pub status: String,
    pub supersedes: Option<i64>,
    pub restores: Option<i64>,
    pub reason: Option<String>,
    pub actor: String,
    pub ci_run_url: Option<String>,
    pub git_sha: Option<String>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

pub(super) const DEPLOYMENT: &str = "select p.id, p.version_id, m.name as model, v.version, v.label, p.stage, p.kind, p.status, p.supersedes, p.restores, p.reason, \
                                     p.actor, p.ci_run_url, p.git_sha, p.started_at, p.ended_at from mlops.deployment p \
                                     join mlops.model_version v on v.id = p.version_id join mlops.model m on m.id = p.model_id";

/// What stands in a stage.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    pub deployment: Deployment,
    pub version: Version,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub seq: i64,
    pub model: String,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub role: String,
    pub kind: String,
    pub payload: Json,
    pub digest: String,
}

/// A model, and how many versions it has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Known {
    pub name: String,
    pub versions: i32,
    /// Stage → version.
    pub stages: BTreeMap<String, i32>,
}

pub async fn models(registry: &Registry<'_>) -> Result<Vec<Known>, RegistryError> {
    let sql = "select m.name, m.next_version - 1 as versions, coalesce((select jsonb_object_agg(p.stage, v.version) from mlops.deployment p \
               join mlops.model_version v on v.id = p.version_id where p.model_id = m.id and p.status = 'active'), '{}') as stages \
               from mlops.model m order by m.name";
    registry.read("listing the models", sql, &[]).await
}

/// The newest versions, without their gates.
pub async fn list(registry: &Registry<'_>, model: &str, limit: i64) -> Result<Vec<Version>, RegistryError> {
    let sql = format!("{} where {OF_MODEL} order by v.version desc limit $2", select(false));
    registry.read("listing the versions", &sql, &[(&model, Type::TEXT), (&limit, Type::INT8)]).await
}

/// What stands in a stage of a model, or in each of them.
pub async fn current(registry: &Registry<'_>, model: &str, stage: Option<&str>) -> Result<Vec<Standing>, RegistryError> {
    let sql = format!("{DEPLOYMENT} where m.name = $1 and p.status = 'active' and ($2::text is null or p.stage = $2) order by p.stage");
    let standing: Vec<Deployment> = registry.read("reading what stands where", &sql, &[(&model, Type::TEXT), (&stage, Type::TEXT)]).await?;
    let mut all = Vec::new();
    for deployment in standing {
        let version = Which::Number(deployment.version).find(registry, model).await?;
        all.push(Standing { deployment, version });
    }
    Ok(all)
}

/// A model's deployments in a stage, the oldest first.
pub async fn deployments(registry: &Registry<'_>, model: &str, stage: &str) -> Result<Vec<Deployment>, RegistryError> {
    let sql = format!("{DEPLOYMENT} where m.name = $1 and p.stage = $2 order by p.id");
    registry.read("reading the deployments", &sql, &[(&model, Type::TEXT), (&stage, Type::TEXT)]).await
}

/// The last events of a model, the newest first.
pub async fn events(registry: &Registry<'_>, model: &str, stage: Option<&str>, limit: i64) -> Result<Vec<Event>, RegistryError> {
    let sql = "select e.seq, m.name as model, e.at, e.actor, e.role, e.kind, e.payload, e.digest from mlops.event e join mlops.model m on m.id = e.model_id \
               where e.model_id = (select id from mlops.model where name = $1) and ($2::text is null or e.payload->>'stage' = $2) order by e.seq desc limit $3";
    registry.read("reading the history", sql, &[(&model, Type::TEXT), (&stage, Type::TEXT), (&limit, Type::INT8)]).await
}

/// Whether the history has an event with this digest.
pub async fn has_event(registry: &Registry<'_>, model: &str, digest: &str) -> Result<bool, RegistryError> {
    let sql = "select exists (select from mlops.event e join mlops.model m on m.id = e.model_id where m.name = $1 and starts_with(e.digest, $2))";
    let rows = registry.rows("looking for the event", sql, &[(&model, Type::TEXT), (&digest, Type::TEXT)]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Versions that meet every condition, the newest first.
pub async fn search(
    registry: &Registry<'_>,
    model: Option<&str>,
    conditions: &[super::search::Condition],
    limit: i64,
) -> Result<Vec<Version>, RegistryError> {
    let mut params: Vec<super::session::Param<'_>> = vec![(&model, Type::TEXT), (&limit, Type::INT8)];
    let mut sql = format!("{} where ($1::text is null or m.name = $1)", select(false));
    for condition in conditions {
        let (text, values) = condition.sql(params.len());
        sql.push_str(&format!(" and {text}"));
        params.extend(values);
    }
    sql.push_str(" order by v.id desc limit $2");
    registry.read("searching", &sql, &params).await
}

/// Dataset → `name version` of the models that were made from it, the newest three of each.
pub async fn readers(registry: &Registry<'_>) -> Result<BTreeMap<String, Vec<String>>, RegistryError> {
    let there = registry.rows("asking the registry who reads what", "select to_regclass('mlops.version_dataset') is not null", &[]).await?;
    let mut readers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(readers);
    }
    let sql = "select dataset, name, version from (select d.name as dataset, m.name, v.version, row_number() over (partition by d.name, m.id order by v.version desc) as n \
               from mlops.version_dataset d join mlops.model_version v on v.id = d.version_id join mlops.model m on m.id = v.model_id) x \
               where n <= 3 order by 1, 2, 3";
    for row in registry.rows("asking the registry who reads what", sql, &[]).await? {
        let model = format!("{} version {}", row.get::<_, String>(1), row.get::<_, i32>(2));
        readers.entry(row.get(0)).or_default().push(model);
    }
    Ok(readers)
}
