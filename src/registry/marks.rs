//! What people say about a version: approve, reject, quarantine, deprecate, release.

use serde_json::json;
use tokio_postgres::types::Type;

use super::session::{Actor, EVENT, Registry, RegistryError};
use super::version::Version;

/// A version that must not, or should no longer, be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Quarantined,
    Deprecated,
}

impl Mark {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Deprecated => "deprecated",
        }
    }
}

/// True when it is new.
pub async fn mark(registry: &Registry<'_>, version: &Version, mark: Mark, reason: &str, actor: &Actor, outbox: bool) -> Result<bool, RegistryError> {
    let writing = registry.write(&version.model, false).await?;
    let (model, word) = (writing.model_id, mark.word());
    let sql = "select exists (select from mlops.mark where version_id = $1 and kind = $2 and lifted_at is null)";
    let there = registry.rows("reading the marks", sql, &[(&version.id, Type::INT8), (&word, Type::TEXT)]).await;
    let (writing, there) = writing.after(there).await?;
    if there.first().is_some_and(|row| row.get(0)) {
        writing.leave().await;
        return Ok(false);
    }
    let insert = "insert into mlops.mark (model_id, version_id, kind, reason, actor) values ($1, $2, $3, $4, $5)";
    let payload = json!({"version": version.version, "reason": reason, "run": actor.run_url});
    let tags = json!({"version": version.version});
    let mut statements = vec![
        (
            insert.to_owned(),
            vec![
                (&model as _, Type::INT8),
                (&version.id as _, Type::INT8),
                (&word as _, Type::TEXT),
                (&reason as _, Type::TEXT),
                (&actor.name as _, Type::TEXT),
            ],
        ),
        (EVENT.to_owned(), vec![(&model as _, Type::INT8), (&actor.name as _, Type::TEXT), (&word as _, Type::TEXT), (&payload as _, Type::JSONB)]),
    ];
    if outbox {
        statements.push((TAGS.to_owned(), vec![(&model as _, Type::INT8), (&tags as _, Type::JSONB)]));
    }
    writing.finish("marking the version", &statements).await?;
    Ok(true)
}

/// MLflow's tags say what stands against a version.
const TAGS: &str = "insert into mlops.outbox (model_id, target, kind, payload) values ($1, 'mlflow', 'tags', $2)";

/// Lifts every mark; the words of those that stood.
pub async fn release(
    registry: &Registry<'_>,
    version: &Version,
    reason: Option<&str>,
    actor: &Actor,
    outbox: bool,
) -> Result<Vec<String>, RegistryError> {
    let writing = registry.write(&version.model, false).await?;
    // Only now nobody else marks it.
    let standing = "select kind from mlops.mark where version_id = $1 and lifted_at is null order by id";
    let (writing, rows) = writing.after(registry.rows("reading the marks", standing, &[(&version.id, Type::INT8)]).await).await?;
    let lifted: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if lifted.is_empty() {
        writing.leave().await;
        return Ok(lifted);
    }
    let model = writing.model_id;
    let update = "update mlops.mark set lifted_at = clock_timestamp(), lifted_by = $2 where version_id = $1 and lifted_at is null";
    let payload = json!({"version": version.version, "lifted": lifted, "reason": reason, "run": actor.run_url});
    let (kind, tags) = ("released", json!({"version": version.version}));
    let mut statements = vec![
        (update.to_owned(), vec![(&version.id as _, Type::INT8), (&actor.name as _, Type::TEXT)]),
        (EVENT.to_owned(), vec![(&model as _, Type::INT8), (&actor.name as _, Type::TEXT), (&kind as _, Type::TEXT), (&payload as _, Type::JSONB)]),
    ];
    if outbox {
        statements.push((TAGS.to_owned(), vec![(&model as _, Type::INT8), (&tags as _, Type::JSONB)]));
    }
    writing.finish("releasing the version", &statements).await?;
    Ok(lifted)
}

/// Approves or rejects a version for a stage; the last word of each person counts.
pub async fn say(
    registry: &Registry<'_>,
    version: &Version,
    stage: &str,
    approved: bool,
    reason: Option<&str>,
    actor: &Actor,
) -> Result<(), RegistryError> {
    let writing = registry.write(&version.model, false).await?;
    let model = writing.model_id;
    let kind = if approved { "approved" } else { "rejected" };
    let insert = "insert into mlops.verdict (model_id, version_id, stage, approved, reason, actor) values ($1, $2, $3, $4, $5, $6)";
    let payload = json!({"version": version.version, "stage": stage, "reason": reason, "run": actor.run_url});
    let statements = [
        (
            insert.to_owned(),
            vec![
                (&model as _, Type::INT8),
                (&version.id as _, Type::INT8),
                (&stage as _, Type::TEXT),
                (&approved as _, Type::BOOL),
                (&reason as _, Type::TEXT),
                (&actor.name as _, Type::TEXT),
            ],
        ),
        (EVENT.to_owned(), vec![(&model as _, Type::INT8), (&actor.name as _, Type::TEXT), (&kind as _, Type::TEXT), (&payload as _, Type::JSONB)]),
    ];
    writing.finish("writing the verdict", &statements).await?;
    Ok(())
}
