//! A version as the registry knows it, and the ways to name one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::session::{Registry, RegistryError};
use crate::ports::files::Content;

/// A version, with everything that was said about it since.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    #[serde(skip_serializing, default)]
    pub id: i64,
    #[serde(skip_serializing, default)]
    pub model_id: i64,
    pub model: String,
    pub version: i32,
    pub label: String,
    pub description: Option<String>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub actor: Option<String>,
    pub artifact_path: Option<String>,
    pub artifact_sha256: Option<String>,
    pub artifact_bytes: Option<i64>,
    pub artifact_uri: Option<String>,
    /// Of a folder.
    pub artifact_files: Option<Vec<Content>>,
    pub framework: Option<String>,
    pub signature: Option<Json>,
    pub params: BTreeMap<String, Json>,
    pub schema_revision: Option<String>,
    pub schema_digest: Option<String>,
    pub git_sha: Option<String>,
    pub git_dirty: Option<bool>,
    pub ci_run_url: Option<String>,
    pub ci_attempt: Option<i32>,
    pub database: Option<String>,
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Nothing in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Json>,
    pub gates_passed: Option<bool>,
    pub gates_warned: bool,
    pub idempotency_key: String,
    /// The same version of another registry is another one to MLflow.
    #[serde(skip_serializing)]
    pub mlflow_key: String,
    pub adopted_from: Option<String>,
    /// The stages in which it stands.
    pub stages: Vec<String>,
    pub datasets: Vec<Data>,
    /// What stands against it.
    pub marks: Vec<Marked>,
    pub mlflow: Option<InMlflow>,
}

/// The exact rows of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Data {
    pub name: String,
    /// Of rows and schema, in whatever order.
    pub content: String,
    pub md5: Option<String>,
    pub rows: Option<i64>,
    pub columns: Option<Json>,
    pub source: Option<String>,
    pub remote: Option<String>,
    pub schema_revision: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marked {
    pub kind: String,
    pub reason: String,
    pub actor: String,
    pub set_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InMlflow {
    pub name: String,
    pub version: String,
    pub run_id: String,
    pub source: String,
}

impl Version {
    pub const fn gates_word(&self) -> &'static str {
        match (self.gates_passed, self.gates_warned) {
            (None, _) => "not evaluated",
            (Some(false), _) => "failed",
            (Some(true), true) => "warned",
            (Some(true), false) => "passed",
        }
    }

    /// `flight-delay version 3 (0.2.0)`
    pub fn title(&self) -> String {
        format!("{} version {} ({})", self.model, self.version, self.label)
    }
}

/// `gates`: whether every gate is wanted too.
pub(super) fn select(gates: bool) -> String {
    let gates = if gates { "v.gates" } else { "null" };
    format!(
        "select v.id, v.model_id, m.name as model, v.version, v.label, v.description, v.created_at, v.created_by, v.actor, v.artifact_path, \
         v.artifact_sha256, v.artifact_bytes, v.artifact_uri, v.artifact_files, v.framework, v.signature, v.params, v.schema_revision, \
         v.schema_digest, v.git_sha, v.git_dirty, v.ci_run_url, v.ci_attempt, v.database, v.metrics, {gates} as gates, v.gates_passed, \
         jsonb_path_exists(v.gates, '$[*] ? (@.status == \"warned\")') as gates_warned, v.idempotency_key, v.adopted_from, \
         encode(sha256(convert_to((select r.id::text from mlops.registry r) || v.idempotency_key, 'UTF8')), 'hex') as mlflow_key, \
         array(select stage from mlops.deployment p where p.version_id = v.id and p.status = 'active' order by stage) as stages, \
         coalesce((select jsonb_agg(jsonb_build_object('name', d.name, 'content', d.content, 'md5', d.md5, 'rows', d.rows, 'columns', d.columns, \
         'source', d.source, 'remote', d.remote, 'schema_revision', d.schema_revision) order by d.name) \
         from mlops.version_dataset d where d.version_id = v.id), '[]') as datasets, \
         coalesce((select jsonb_agg(jsonb_build_object('kind', k.kind, 'reason', k.reason, 'actor', k.actor, 'set_at', k.set_at) order by k.id) \
         from mlops.mark k where k.version_id = v.id and k.lifted_at is null), '[]') as marks, \
         (select jsonb_build_object('name', f.mlflow_name, 'version', f.mlflow_version, 'run_id', f.run_id, 'source', f.source) \
         from mlops.version_mlflow f where f.version_id = v.id) as mlflow \
         from mlops.model_version v join mlops.model m on m.id = v.model_id"
    )
}

/// The model first: its versions then come in the order of the index, the newest at once.
pub(super) const OF_MODEL: &str = "v.model_id = (select id from mlops.model where name = $1)";

/// How a version is named: `3`, `v3`, `latest`, `@production`, or its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Number(i32),
    /// `v3` is number 3, unless a version is labelled so.
    Numbered(i32),
    Latest,
    Stage(String),
    Label(String),
}

impl Which {
    pub fn parse(text: &str) -> Self {
        let whole = |digits: &str| digits.parse::<i32>().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()));
        match (whole(text), text.strip_prefix('v').and_then(whole), text.strip_prefix('@')) {
            (Some(number), ..) => Self::Number(number),
            (_, Some(number), _) => Self::Numbered(number),
            (.., Some(stage)) => Self::Stage(stage.to_owned()),
            _ if text == "latest" => Self::Latest,
            _ => Self::Label(text.to_owned()),
        }
    }

    /// The version, with its gates.
    pub async fn find(&self, registry: &Registry<'_>, model: &str) -> Result<Version, RegistryError> {
        let all = select(true);
        let doing = "reading the version";
        let by = |condition: &str| format!("{all} where {OF_MODEL} and {condition} order by v.version desc limit 1");
        let found: Vec<Version> = match self {
            Self::Number(number) => registry.read(doing, &by("v.version = $2"), &[(&model, Type::TEXT), (number, Type::INT4)]).await?,
            Self::Numbered(number) => {
                let label = format!("v{number}");
                let either = format!("{all} where {OF_MODEL} and (v.version = $2 or v.label = $3) order by v.version desc");
                let found: Vec<Version> = registry.read(doing, &either, &[(&model, Type::TEXT), (number, Type::INT4), (&label, Type::TEXT)]).await?;
                if let [one, .., other] = found.as_slice() {
                    let what = format!(
                        "`{label}` is version {number}, and the label of version {}",
                        if one.version == *number { other } else { one }.version
                    );
                    return Err(RegistryError::Unknown(format!("{what}: name it by its number alone")));
                }
                found
            }
            Self::Latest => registry.read(doing, &by("true"), &[(&model, Type::TEXT)]).await?,
            Self::Stage(stage) => {
                let standing = "v.id = (select version_id from mlops.deployment p where p.model_id = m.id and p.stage = $2 and p.status = 'active')";
                registry.read(doing, &by(standing), &[(&model, Type::TEXT), (stage, Type::TEXT)]).await?
            }
            Self::Label(label) => registry.read(doing, &by("v.label = $2"), &[(&model, Type::TEXT), (label, Type::TEXT)]).await?,
        };
        found.into_iter().next().ok_or_else(|| {
            RegistryError::Unknown(match self {
                Self::Number(number) | Self::Numbered(number) => format!("{model} has no version {number}; `mlops model list` shows those it has"),
                Self::Latest => format!("the registry has no version of a model `{model}` yet"),
                Self::Stage(stage) => format!("no version of {model} stands in {stage}"),
                Self::Label(label) => format!("{model} has no version that is called `{label}`; `mlops model list` shows those it has"),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_several_names() {
        for (text, which) in [
            ("3", Which::Number(3)),
            ("v12", Which::Numbered(12)),
            ("latest", Which::Latest),
            ("@production", Which::Stage("production".into())),
            ("0.1.0", Which::Label("0.1.0".into())),
            ("vanilla", Which::Label("vanilla".into())),
            ("-3", Which::Label("-3".into())),
        ] {
            assert_eq!(Which::parse(text), which, "{text}");
        }
    }
}
