//! The chain from data to deployment: in words, as JSON, as a graph.

use serde::Serialize;
use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::read::{DEPLOYMENT, Deployment};
use super::session::{Registry, RegistryError};
use super::version::{Version, Which, select};

/// What somebody said.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct Said {
    pub stage: String,
    pub approved: bool,
    pub reason: Option<String>,
    pub actor: String,
    pub given_at: chrono::DateTime<chrono::Utc>,
}

/// A version, and everything that happened to it.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    pub version: Version,
    pub said: Vec<Said>,
    pub deployments: Vec<Deployment>,
}

impl Story {
    pub async fn of(registry: &Registry<'_>, version: Version) -> Result<Self, RegistryError> {
        let sql = format!("{DEPLOYMENT} where p.version_id = $1 order by p.id");
        let deployments = registry.read("reading the deployments", &sql, &[(&version.id, Type::INT8)]).await?;
        let sql = "select stage, approved, reason, actor, given_at from mlops.verdict where version_id = $1 order by id";
        let said = registry.read("reading the approvals", sql, &[(&version.id, Type::INT8)]).await?;
        Ok(Self { version, said, deployments })
    }

    /// Of a deployment, by its number.
    pub async fn of_deployment(registry: &Registry<'_>, id: i64) -> Result<Self, RegistryError> {
        let sql = format!("{DEPLOYMENT} where p.id = $1");
        let found: Vec<Deployment> = registry.read("reading the deployment", &sql, &[(&id, Type::INT8)]).await?;
        let found = found.into_iter().next().ok_or_else(|| RegistryError::Unknown(format!("there is no deployment {id}")))?;
        let version = Which::Number(found.version).find(registry, &found.model).await?;
        Self::of(registry, version).await
    }

    /// Of every version that was made from a dataset, in any model.
    pub async fn of_dataset(registry: &Registry<'_>, dataset: &str) -> Result<Vec<Self>, RegistryError> {
        let same = "d.name = $1 or starts_with(d.md5, $1) or starts_with(d.content, $1)";
        let sql =
            format!("{} where v.id in (select d.version_id from mlops.version_dataset d where {same}) order by v.id desc limit 50", select(true));
        Self::all(registry, registry.read("reading who was made from it", &sql, &[(&dataset, Type::TEXT)]).await?).await
    }

    /// Of every version of a commit.
    pub async fn of_commit(registry: &Registry<'_>, commit: &str) -> Result<Vec<Self>, RegistryError> {
        let sql = format!("{} where starts_with(v.git_sha, $1) order by v.id desc limit 50", select(true));
        Self::all(registry, registry.read("reading what the commit made", &sql, &[(&commit, Type::TEXT)]).await?).await
    }

    async fn all(registry: &Registry<'_>, versions: Vec<Version>) -> Result<Vec<Self>, RegistryError> {
        let mut stories = Vec::new();
        for version in versions {
            stories.push(Self::of(registry, version).await?);
        }
        Ok(stories)
    }

    /// How many gates ended how: `79 passed, 7 warned`.
    pub fn gates(&self) -> String {
        let gates = self.version.gates.as_ref().and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let count = |word: &str| gates.iter().filter(|gate| gate["status"] == word).count();
        let counts = ["passed", "warned", "failed", "broken", "skipped"].into_iter().map(|word| (word, count(word))).filter(|(_, n)| *n > 0);
        let counts: Vec<String> = counts.map(|(word, n)| format!("{n} {word}")).collect();
        let all = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        if self.version.gates_passed.is_none() { format!("{all}; not all of them were evaluated") } else { all }
    }

    /// A graph of Mermaid's: data and schema to version, gates beside it, stages behind it.
    pub fn mermaid(&self, at: usize) -> String {
        let v = &self.version;
        let quoted = |text: &str| text.replace('"', "#quot;").replace(['\n', '\r'], " ");
        let mut lines = vec![format!("  v{at}[\"{}\"]", quoted(&v.title()))];
        for (i, data) in v.datasets.iter().enumerate() {
            let digest: String = data.md5.as_ref().unwrap_or(&data.content).chars().take(12).collect();
            lines.push(format!("  d{at}_{i}[(\"{} {digest}\")] --> v{at}", quoted(&data.name)));
            if let Some(revision) = data.schema_revision.as_ref().or(v.schema_revision.as_ref()) {
                lines.push(format!("  s{at}[\"schema {}\"] --> d{at}_{i}", quoted(revision)));
            }
        }
        if let Some(sha) = &v.git_sha {
            lines.push(format!("  c{at}[\"commit {}\"] --> v{at}", sha.chars().take(12).collect::<String>()));
        }
        lines.push(format!("  g{at}{{\"gates: {}\"}} --> v{at}", quoted(&self.gates())));
        for deployment in &self.deployments {
            let state = if deployment.status == "active" { "stands".to_owned() } else { deployment.status.replace('_', " ") };
            lines.push(format!("  v{at} -->|{}| p{}[\"{}: {state}\"]", deployment.kind, deployment.id, quoted(&deployment.stage)));
        }
        lines.join("\n") + "\n"
    }
}
