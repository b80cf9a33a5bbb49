//! `MLflow` follows: what it has to be told waits in the outbox, which was written with the change itself. Every step looks
//! first whether it is done, so that a delivery which was cut off anywhere is repeated without leaving anything twice.

mod check;
mod files;
mod run;
mod version;

pub use self::check::check;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio_postgres::types::Type;

use super::artifact::{Homes, Local, local};
use super::session::{Registry, RegistryError};
use super::settings::alias;
use super::version::{Version, Which};
use crate::ports::files::Workspace;
use crate::ports::mlflow::{Mlflow, MlflowError};

/// What is needed to tell `MLflow` something.
pub struct Follower<'a> {
    pub mlflow: &'a Mlflow,
    pub experiment: &'a str,
    pub project: &'a str,
    pub homes: &'a Homes,
    pub workspace: &'a Workspace,
    pub env: &'a std::collections::BTreeMap<String, String>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    pub done: u64,
    pub waiting: u64,
    /// Why the rest waits.
    pub why: Option<String>,
    /// What MLflow would not take, or could not be given.
    pub refused: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Mlflow(#[from] MlflowError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{0}")]
    Other(String),
}

#[derive(Deserialize)]
struct Letter {
    id: i64,
    kind: String,
    payload: Json,
}

impl FollowError {
    /// Asked again, it would be the same: those behind it need not wait.
    fn is_final(&self) -> bool {
        match self {
            Self::Mlflow(error) => error.is_final(),
            Self::Registry(RegistryError::Server(_) | RegistryError::Objects(_)) => false,
            Self::Registry(_) | Self::Other(_) => true,
        }
    }
}

/// Delivers what waits for a model, in its order, until MLflow cannot be reached.
pub async fn deliver(registry: &Registry<'_>, model: &str, follower: &Follower<'_>) -> Result<Delivery, RegistryError> {
    let mut delivery = Delivery::default();
    if waiting(registry, model).await? > 0
        && let Err(error) = follower.mlflow.major().await
    {
        // Nothing is told to who may be somebody else.
        delivery.why = Some(error.to_string());
    }
    while delivery.why.is_none() {
        match next(registry, model, follower).await {
            Ok(Step::Done) => delivery.done += 1,
            Ok(Step::Refused(why)) => delivery.refused.push(why),
            Ok(Step::Nothing) => break,
            Ok(Step::Stopped(why)) => {
                delivery.why = Some(why);
                break;
            }
            Err(error) => {
                registry.give_up().await;
                return Err(error);
            }
        }
    }
    delivery.waiting = waiting(registry, model).await?;
    Ok(delivery)
}

pub async fn waiting(registry: &Registry<'_>, model: &str) -> Result<u64, RegistryError> {
    let sql = "select count(*) from mlops.outbox o join mlops.model m on m.id = o.model_id where m.name = $1 and o.done_at is null";
    let rows = registry.rows("counting what waits", sql, &[(&model, Type::TEXT)]).await?;
    Ok(rows.first().map_or(0, |row| u64::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
}

enum Step {
    Done,
    Refused(String),
    Nothing,
    Stopped(String),
}

/// One letter, one transaction; whoever holds the model's lock delivers, others leave it to them.
async fn next(registry: &Registry<'_>, model: &str, follower: &Follower<'_>) -> Result<Step, RegistryError> {
    let begun = registry.client.batch_execute("begin; set local timezone = 'UTC'; set local idle_in_transaction_session_timeout = 0").await;
    begun.map_err(|e| registry.error("beginning a delivery", &e))?;
    let lock = "select pg_try_advisory_xact_lock(hashtextextended('mlops.outbox', id)) from mlops.model where name = $1";
    let locked = registry.rows("locking the outbox", lock, &[(&model, Type::TEXT)]).await?;
    if !locked.first().is_some_and(|row| row.get(0)) {
        registry.give_up().await;
        return Ok(if locked.is_empty() { Step::Nothing } else { Step::Stopped("another job is telling MLflow right now".into()) });
    }
    let sql = "select o.id, o.kind, o.payload from mlops.outbox o join mlops.model m on m.id = o.model_id \
               where m.name = $1 and o.done_at is null and o.failed_at is null order by o.id limit 1";
    let letters: Vec<Letter> = registry.read("reading the outbox", sql, &[(&model, Type::TEXT)]).await?;
    let Some(letter) = letters.into_iter().next() else {
        registry.give_up().await;
        return Ok(Step::Nothing);
    };
    let sent = send(registry, model, &letter, follower).await;
    let error = sent.as_ref().err().map(ToString::to_string);
    let refused = sent.as_ref().is_err_and(FollowError::is_final);
    let update = "update mlops.outbox set attempts = attempts + 1, last_error = $2, done_at = case when $2::text is null then clock_timestamp() end, \
                  failed_at = case when $3 then clock_timestamp() end where id = $1";
    registry.rows("noting the delivery", update, &[(&letter.id, Type::INT8), (&error, Type::TEXT), (&refused, Type::BOOL)]).await?;
    registry.client.batch_execute("commit").await.map_err(|e| registry.error("noting the delivery", &e))?;
    Ok(match error {
        None => Step::Done,
        Some(why) if refused => Step::Refused(why),
        Some(why) => Step::Stopped(why),
    })
}

async fn send(registry: &Registry<'_>, model: &str, letter: &Letter, follower: &Follower<'_>) -> Result<(), FollowError> {
    let number = letter.payload["version"].as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or_default();
    let version = Which::Number(number).find(registry, model).await?;
    // Whatever it is about, MLflow must know the version: also one from before, or one that somebody has deleted there.
    let known = version::tell(follower, &version).await?;
    if version.mlflow.as_ref() != Some(&known) {
        let insert = "insert into mlops.version_mlflow (version_id, mlflow_name, mlflow_version, run_id, source) values ($1, $2, $3, $4, $5) \
                      on conflict (version_id) do update set mlflow_name = excluded.mlflow_name, mlflow_version = excluded.mlflow_version, \
                      run_id = excluded.run_id, source = excluded.source, delivered_at = clock_timestamp()";
        let params = [
            (&version.id as _, Type::INT8),
            (&known.name as _, Type::TEXT),
            (&known.version as _, Type::TEXT),
            (&known.run_id as _, Type::TEXT),
            (&known.source as _, Type::TEXT),
        ];
        registry.rows("noting MLflow's version", insert, &params).await?;
    }
    match letter.kind.as_str() {
        "version" if version.marks.is_empty() => {}
        "alias" => {
            let stage = letter.payload["stage"].as_str().unwrap_or_default();
            let body = json!({"name": known.name, "alias": alias(stage), "version": known.version});
            follower.mlflow.post("2.0/mlflow/registered-models/alias", &body).await?;
        }
        "version" | "tags" => {
            let body = json!({"name": known.name, "version": known.version, "key": "mlops.status", "value": status(&version)});
            follower.mlflow.post("2.0/mlflow/model-versions/set-tag", &body).await?;
        }
        other => return Err(FollowError::Other(format!("the outbox holds something unknown, `{other}`: a newer mlops wrote it"))),
    }
    Ok(())
}

/// What stands against a version, as a tag.
pub(super) fn status(version: &Version) -> String {
    let word = version.marks.iter().map(|m| format!("{}: {}", m.kind, m.reason)).collect::<Vec<_>>().join("; ");
    if word.is_empty() { "released".into() } else { run::cut(&word, 5000) }
}

/// The artifact's bytes, wherever they are.
pub(super) async fn bytes(follower: &Follower<'_>, version: &Version) -> Result<Local, FollowError> {
    Ok(local(version, follower.homes, follower.workspace, follower.env).await?)
}

/// Puts versions into the outbox that `MLflow` has not heard of: those that stand in a stage, or all; and every stage.
pub async fn enqueue(registry: &Registry<'_>, model: &str, all: bool) -> Result<(), RegistryError> {
    let writing = registry.write(model, false).await?;
    let id = writing.model_id;
    // What was refused is tried again.
    let again = "update mlops.outbox set failed_at = null where model_id = $1 and failed_at is not null and done_at is null";
    let versions = "insert into mlops.outbox (model_id, target, kind, payload) \
                    select v.model_id, 'mlflow', 'version', jsonb_build_object('version', v.version) from mlops.model_version v \
                    where v.model_id = $1 and v.artifact_sha256 is not null \
                    and ($2 or not exists (select from mlops.version_mlflow f where f.version_id = v.id)) \
                    and not exists (select from mlops.outbox o where o.model_id = v.model_id and o.kind = 'version' and o.done_at is null and o.payload->'version' = to_jsonb(v.version)) \
                    and ($2 or exists (select from mlops.deployment p where p.version_id = v.id and p.status = 'active')) order by v.version";
    let aliases = "insert into mlops.outbox (model_id, target, kind, payload) \
                   select p.model_id, 'mlflow', 'alias', jsonb_build_object('stage', p.stage, 'version', v.version) from mlops.deployment p \
                   join mlops.model_version v on v.id = p.version_id where p.model_id = $1 and p.status = 'active' and v.artifact_sha256 is not null \
                   and not exists (select from mlops.outbox o where o.model_id = p.model_id and o.kind = 'alias' and o.done_at is null \
                   and o.payload->>'stage' = p.stage and o.payload->'version' = to_jsonb(v.version))";
    let statements = [
        (again.to_owned(), vec![(&id as _, Type::INT8)]),
        (versions.to_owned(), vec![(&id as _, Type::INT8), (&all as _, Type::BOOL)]),
        (aliases.to_owned(), vec![(&id as _, Type::INT8)]),
    ];
    writing.finish("filling the outbox", &statements).await.map(drop)
}
