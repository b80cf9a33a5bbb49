//! One version a stage; whoever promotes is told everything that stands in the way.

use chrono::Utc;
use serde_json::json;
use tokio_postgres::types::Type;

use super::policy::{Known, Request, Verdict, judge, settle, still};
use super::read::{DEPLOYMENT, Deployment};
use super::refusal::{Reason, Refusal};
use super::session::{Actor, EVENT, Param, Registry, RegistryError};
use super::settings::Policy;
use super::version::Version;

/// What came of it.
#[derive(Debug, Clone)]
pub struct Promoted {
    /// What stood there before.
    pub previous: Option<Deployment>,
    /// False when this version stood there already.
    pub new: bool,
}

/// `evidence`: what was found out about the artifact before anybody had to wait. `dry`: only says what would happen.
#[expect(clippy::too_many_arguments, reason = "what is promoted, where to, by whom, and what for")]
pub async fn promote(
    registry: &Registry<'_>,
    version: &Version,
    policy: &Policy,
    request: &Request,
    evidence: Vec<Refusal>,
    actor: &Actor,
    outbox: bool,
    dry: bool,
) -> Result<Promoted, RegistryError> {
    if dry {
        // Nobody waits for who only asks.
        return Ok(match decide(registry, version, policy, request, evidence).await? {
            Decision::Stands(previous) => Promoted { previous: Some(previous), new: false },
            Decision::Go(previous, _) => Promoted { previous, new: true },
        });
    }
    let writing = registry.write(&version.model, false).await?;
    let (writing, decided) = writing.after(decide(registry, version, policy, request, evidence).await).await?;
    let (previous, passed) = match decided {
        Decision::Stands(previous) => {
            writing.leave().await;
            return Ok(Promoted { previous: Some(previous), new: false });
        }
        Decision::Go(previous, passed) => (previous, passed),
    };
    let (model, stage) = (writing.model_id, &request.stage);
    let before = previous.as_ref().map(|d| d.id);
    let payload = json!({
        "version": version.version, "stage": stage, "previous": previous.as_ref().map(|d| d.version), "reason": request.reason,
        "allowed": passed, "commit": actor.git_sha, "run": actor.run_url,
    });
    let close = "update mlops.deployment set status = 'superseded', ended_at = clock_timestamp() where id = $1";
    let open = "insert into mlops.deployment (model_id, version_id, stage, kind, supersedes, reason, actor, ci_run_url, git_sha) \
                values ($1, $2, $3, 'promote', $4, $5, $6, $7, $8)";
    let kind = "promoted";
    let mut statements: Vec<(String, Vec<Param<'_>>)> = vec![
        (close.into(), vec![(&before, Type::INT8)]),
        (
            open.into(),
            vec![
                (&model, Type::INT8),
                (&version.id, Type::INT8),
                (stage, Type::TEXT),
                (&before, Type::INT8),
                (&request.reason, Type::TEXT),
                (&actor.name, Type::TEXT),
                (&actor.run_url, Type::TEXT),
                (&actor.git_sha, Type::TEXT),
            ],
        ),
        (EVENT.into(), vec![(&model, Type::INT8), (&actor.name, Type::TEXT), (&kind, Type::TEXT), (&payload, Type::JSONB)]),
    ];
    let alias = json!({"stage": stage, "version": version.version});
    if outbox {
        statements.push((ALIAS.into(), vec![(&model, Type::INT8), (&alias, Type::JSONB)]));
    }
    writing.finish("promoting the version", &statements).await?;
    Ok(Promoted { previous, new: true })
}

/// MLflow's alias follows a stage.
pub(super) const ALIAS: &str = "insert into mlops.outbox (model_id, target, kind, payload) values ($1, 'mlflow', 'alias', $2)";

/// The last word of each person about a version and a stage.
pub(super) async fn verdicts(registry: &Registry<'_>, version: i64, stage: &str) -> Result<Vec<Verdict>, RegistryError> {
    let said = "select distinct on (actor) actor, approved, reason from mlops.verdict where version_id = $1 and stage = $2 order by actor, id desc";
    registry.read("reading who approved", said, &[(&version, Type::INT8), (&stage, Type::TEXT)]).await
}

enum Decision {
    /// It is there already.
    Stands(Deployment),
    /// What stands there now, and what was passed.
    Go(Option<Deployment>, Vec<Reason>),
}

async fn decide(
    registry: &Registry<'_>,
    version: &Version,
    policy: &Policy,
    request: &Request,
    evidence: Vec<Refusal>,
) -> Result<Decision, RegistryError> {
    let doing = "reading what stands in the stage";
    let standing = format!("{DEPLOYMENT} where p.model_id = $1 and p.stage = $2 and p.status = 'active'");
    let standing: Vec<Deployment> = registry.read(doing, &standing, &[(&version.model_id, Type::INT8), (&request.stage, Type::TEXT)]).await?;
    let standing = standing.into_iter().next();
    let mine = format!("{DEPLOYMENT} where p.version_id = $1 order by p.id");
    let deployments: Vec<Deployment> = registry.read(doing, &mine, &[(&version.id, Type::INT8)]).await?;
    let verdicts = verdicts(registry, version.id, &request.stage).await?;
    // What was marked while the artifact was read counts too.
    let fresh = super::version::Which::Number(version.version).find(registry, &version.model).await?;
    let twins = "select v.version from mlops.model_version v join mlops.mark k on k.version_id = v.id and k.kind = 'quarantined' and k.lifted_at is null \
                 where v.artifact_sha256 = $1 and v.id <> $2 and v.model_id = $3 order by 1 limit 1";
    let params = [(&version.artifact_sha256 as _, Type::TEXT), (&version.id as _, Type::INT8), (&version.model_id as _, Type::INT8)];
    let twin = registry.rows("looking for the same artifact", twins, &params).await?.first().map(|row| row.get(0));
    let clock = registry.rows("reading the clock", "select clock_timestamp()", &[]).await?;
    let now = clock.first().map_or_else(Utc::now, |row| row.get(0));
    let known = Known { version: &fresh, standing: standing.as_ref(), deployments: &deployments, verdicts: &verdicts, twin, now };
    let stands = standing.as_ref().filter(|d| d.version_id == version.id);
    let mut refusals = if stands.is_some() { still(request, &known) } else { judge(policy, request, &known) };
    refusals.extend(evidence);
    let passed = settle(refusals, policy, request).map_err(RegistryError::Refused)?;
    Ok(match stands {
        Some(there) => Decision::Stands(there.clone()),
        None => Decision::Go(standing, passed),
    })
}
