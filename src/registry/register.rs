//! A new version: everything that makes it what it is, in three round trips.

use serde_json::{Value as Json, json};
use tokio_postgres::types::Type;

use super::session::{Actor, Param, Registry, RegistryError};
use super::version::Data;
use crate::ports::files::{Content, sha256};

/// Everything that makes a version what it is.
#[derive(Debug, Clone)]
pub struct NewVersion {
    pub model: String,
    pub label: String,
    pub description: Option<String>,
    pub artifact_path: Option<String>,
    /// Nothing only of an adopted version whose artifact nobody has.
    pub artifact_sha256: Option<String>,
    pub artifact_bytes: Option<u64>,
    pub artifact_uri: Option<String>,
    /// Of a folder.
    pub artifact_files: Option<Vec<Content>>,
    pub framework: String,
    pub signature: Option<Json>,
    pub params: Json,
    pub datasets: Vec<Data>,
    pub schema_revision: Option<String>,
    pub schema_digest: Option<String>,
    pub database: Option<String>,
    pub git_sha: Option<String>,
    pub git_dirty: Option<bool>,
    pub metrics: Json,
    pub gates: Json,
    pub gates_passed: Option<bool>,
    pub adopted_from: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    pub version: i32,
    /// False when this very version existed already.
    pub new: bool,
}

impl NewVersion {
    /// Equal for two runs of the same thing with the same verdict of its gates, whatever run they are: registering again
    /// changes nothing.
    fn key(&self) -> String {
        self.key_with(self.gates_passed)
    }

    /// The keys of versions that are this one already. Who has no verdict of the gates adds nothing to one that has.
    fn keys(&self) -> Vec<String> {
        match self.gates_passed {
            None => [Some(true), Some(false), None].map(|passed| self.key_with(passed)).to_vec(),
            Some(_) => vec![self.key()],
        }
    }

    fn key_with(&self, gates_passed: Option<bool>) -> String {
        let data: Vec<(&str, &str)> = self.datasets.iter().map(|d| (d.name.as_str(), d.content.as_str())).collect();
        let parts = json!([
            self.model,
            self.label,
            self.artifact_sha256,
            data,
            self.schema_revision,
            self.git_sha,
            self.params,
            self.adopted_from,
            gates_passed
        ]);
        sha256(parts.to_string().as_bytes())
    }

    fn row(&self, actor: &Actor) -> Json {
        json!({
            "label": self.label, "description": self.description, "artifact_path": self.artifact_path, "artifact_sha256": self.artifact_sha256,
            "artifact_bytes": self.artifact_bytes, "artifact_uri": self.artifact_uri, "artifact_files": self.artifact_files,
            "framework": self.framework, "signature": self.signature, "params": self.params, "schema_revision": self.schema_revision,
            "schema_digest": self.schema_digest, "git_sha": self.git_sha, "git_dirty": self.git_dirty, "ci_run_url": actor.run_url,
            "ci_attempt": actor.attempt, "database": self.database, "metrics": self.metrics, "gates": self.gates,
            "gates_passed": self.gates_passed, "actor": actor.name, "adopted_from": self.adopted_from, "idempotency_key": self.key(),
        })
    }
}

const COLUMNS: &str = "label text, description text, artifact_path text, artifact_sha256 text, artifact_bytes bigint, artifact_uri text, artifact_files jsonb, \
                       framework text, signature jsonb, params jsonb, schema_revision text, schema_digest text, git_sha text, git_dirty boolean, \
                       ci_run_url text, ci_attempt int, database text, metrics jsonb, gates jsonb, gates_passed boolean, actor text, adopted_from text, \
                       idempotency_key text";

/// Registers a version, or finds the one that is the same; versions count up without gaps. `outbox`: MLflow hears of it.
pub async fn register(registry: &Registry<'_>, new: &NewVersion, actor: &Actor, outbox: bool) -> Result<Registered, RegistryError> {
    let writing = registry.write(&new.model, true).await?;
    let (id, version) = (writing.model_id, writing.next_version);
    let known = "select version from mlops.model_version where model_id = $1 and idempotency_key = any($2) order by gates_passed desc nulls last, version desc limit 1";
    let found = registry.rows("looking for the same version", known, &[(&id, Type::INT8), (&new.keys(), Type::TEXT_ARRAY)]).await;
    let (writing, rows) = writing.after(found).await?;
    if let Some(row) = rows.first() {
        writing.leave().await;
        return Ok(Registered { version: row.get(0), new: false });
    }
    let (row, data) = (new.row(actor), json!(new.datasets));
    let names: Vec<&str> = COLUMNS.split(", ").filter_map(|c| c.split(' ').next()).collect();
    let names = names.join(", ");
    let this = "from mlops.model_version v where v.model_id = $1 and v.version = $2";
    let mut statements: Vec<(String, Vec<Param<'_>>)> = vec![
        (
            format!("insert into mlops.model_version (model_id, version, {names}) select $1, $2, {names} from jsonb_to_record($3) x({COLUMNS})"),
            vec![(&id, Type::INT8), (&version, Type::INT4), (&row, Type::JSONB)],
        ),
        (
            "insert into mlops.version_dataset (version_id, name, content, md5, rows, columns, source, remote, schema_revision) \
                 select v.id, d.* from mlops.model_version v, jsonb_to_recordset($3) d(name text, content text, md5 text, rows bigint, columns jsonb, \
                 source text, remote text, schema_revision text) where v.model_id = $1 and v.version = $2".to_owned(),
            vec![(&id, Type::INT8), (&version, Type::INT4), (&data, Type::JSONB)],
        ),
        (
            format!(
                "insert into mlops.event (model_id, actor, kind, payload) select $1, $3, 'registered', jsonb_build_object('version', v.version, 'label', v.label, \
                 'artifact', v.artifact_sha256, 'commit', v.git_sha, 'run', v.ci_run_url, 'row', mlops.version_digest(v)) {this}"
            ),
            vec![(&id, Type::INT8), (&version, Type::INT4), (&actor.name, Type::TEXT)],
        ),
        ("update mlops.model set next_version = next_version + 1 where id = $1".into(), vec![(&id, Type::INT8)]),
    ];
    if outbox {
        statements.push((
            format!(
                "insert into mlops.outbox (model_id, target, kind, payload) select $1, 'mlflow', 'version', jsonb_build_object('version', v.version) {this}"
            ),
            vec![(&id, Type::INT8), (&version, Type::INT4)],
        ));
    }
    writing.finish("registering the version", &statements).await?;
    Ok(Registered { version, new: true })
}
