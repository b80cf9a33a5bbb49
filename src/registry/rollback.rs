//! Back to what stood there before: never back and forth, never to a version that is quarantined.

use std::collections::BTreeSet;

use serde_json::json;
use tokio_postgres::types::Type;

use super::policy::{Request, marks, rejections, settle};
use super::promote::{ALIAS, verdicts};
use super::read::{Deployment, deployments};
use super::refusal::{Reason, Refusal, Refusals};
use super::session::{Actor, EVENT, Param, Registry, RegistryError};
use super::settings::Policy;
use super::version::Which;

/// Where a rollback leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// What stands there now.
    pub standing: Deployment,
    /// The deployment that is put back.
    pub restores: Deployment,
    /// Versions on the way that may not stand anywhere.
    pub skipped: Vec<i32>,
    /// Of a version that was named: it was rolled back from here before.
    again: bool,
}

impl Target {
    /// `to`: a version that has stood there; else the one before.
    pub async fn find(registry: &Registry<'_>, model: &str, stage: &str, to: Option<i32>) -> Result<Self, RegistryError> {
        let all = deployments(registry, model, stage).await?;
        let sql = "select k.version_id from mlops.mark k join mlops.model m on m.id = k.model_id where m.name = $1 and k.kind = 'quarantined' and k.lifted_at is null";
        let rows = registry.rows("reading what is quarantined", sql, &[(&model, Type::TEXT)]).await?;
        let quarantined = rows.iter().map(|row| row.get(0)).collect();
        walk(&all, &quarantined, stage, to).map_err(|refusal| RegistryError::Refused(Refusals(vec![refusal])))
    }
}

fn walk(all: &[Deployment], quarantined: &BTreeSet<i64>, stage: &str, to: Option<i32>) -> Result<Target, Refusal> {
    let by_id = |id: i64| all.iter().find(|d| d.id == id);
    // A rollback stands for the promotion that it put back.
    let origin = |d: &Deployment| -> Deployment { d.restores.and_then(by_id).unwrap_or(d).clone() };
    let nothing = |why: String| Refusal::new(Reason::NothingToRollBackTo, why);
    let standing = all.iter().find(|d| d.status == "active").ok_or_else(|| nothing(format!("nothing stands in {stage}")))?;
    if let Some(to) = to {
        if standing.version == to {
            return Err(nothing(format!("version {to} stands in {stage} already")));
        }
        let found = all.iter().rfind(|d| d.version == to && d.kind == "promote");
        let restores = found.cloned().ok_or_else(|| {
            let what = format!("version {to} has never stood in {stage}");
            Refusal::new(Reason::NeverDeployed, what).but(format!("`mlops model promote {to} --to {stage}` puts it there"))
        })?;
        if quarantined.contains(&restores.version_id) {
            return Err(Refusal::new(Reason::Quarantined, format!("version {to} is quarantined")).but(format!("`mlops model release {to}` lifts it")));
        }
        let again = all.iter().rfind(|d| d.version == to).is_some_and(|d| d.status == "rolled_back");
        return Ok(Target { standing: standing.clone(), restores, skipped: vec![], again });
    }
    let mut skipped = Vec::new();
    let mut at = origin(standing);
    while let Some(before) = at.supersedes.and_then(by_id) {
        at = origin(before);
        if quarantined.contains(&at.version_id) {
            skipped.push(at.version);
        } else if at.version != standing.version {
            return Ok(Target { standing: standing.clone(), restores: at, skipped, again: false });
        }
    }
    let passed = if skipped.is_empty() { String::new() } else { format!(" that is not quarantined (version {})", join(&skipped)) };
    Err(nothing(format!("before version {} nothing stood in {stage}{passed}", standing.version)))
}

fn join(versions: &[i32]) -> String {
    versions.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

/// Everything that is said against the version, too; what was passed of it.
async fn decide(
    registry: &Registry<'_>,
    target: &Target,
    policy: &Policy,
    request: &Request,
    evidence: Vec<Refusal>,
) -> Result<Vec<Reason>, RegistryError> {
    let Request { stage, .. } = request;
    let version = Which::Number(target.restores.version).find(registry, &target.standing.model).await?;
    let mut refusals = marks(&version);
    refusals.extend(rejections(&verdicts(registry, version.id, stage).await?, &version, stage));
    if target.again {
        let what = format!("version {} was rolled back from {stage} before", version.version);
        refusals.push(Refusal::new(Reason::RolledBack, what).but("`--allow rolled_back`, once it is known why"));
    }
    refusals.extend(evidence);
    settle(refusals, policy, request).map_err(RegistryError::Refused)
}

/// Puts the target back, if everything is still as it was when it was found. `dry`: only says whether it could be.
#[expect(clippy::too_many_arguments, reason = "what is put back, where, by whom, and what for")]
pub async fn rollback(
    registry: &Registry<'_>,
    target: &Target,
    policy: &Policy,
    request: &Request,
    evidence: Vec<Refusal>,
    actor: &Actor,
    outbox: bool,
    dry: bool,
) -> Result<(), RegistryError> {
    let model = &target.standing.model;
    if dry {
        return decide(registry, target, policy, request, evidence).await.map(drop);
    }
    let writing = registry.write(model, false).await?;
    let again = Target::find(registry, model, &request.stage, Some(target.restores.version)).await;
    let decided = match again {
        Ok(now) if now.standing.id == target.standing.id => decide(registry, target, policy, request, evidence).await,
        Ok(now) => Err(RegistryError::Refused(Refusals(vec![
            Refusal::new(Reason::ExpectationFailed, format!("meanwhile version {} stands in {}", now.standing.version, request.stage))
                .but("look again, then decide again"),
        ]))),
        Err(error) => Err(error),
    };
    let (writing, passed) = writing.after(decided).await?;
    let model_id = writing.model_id;
    let (standing, restores) = (&target.standing, &target.restores);
    let payload = json!({
        "version": restores.version, "stage": request.stage, "previous": standing.version, "restores": restores.id, "skipped": target.skipped,
        "reason": request.reason, "allowed": passed, "commit": actor.git_sha, "run": actor.run_url,
    });
    let close = "update mlops.deployment set status = 'rolled_back', ended_at = clock_timestamp() where id = $1";
    let open = "insert into mlops.deployment (model_id, version_id, stage, kind, supersedes, restores, reason, actor, ci_run_url, git_sha) \
                values ($1, $2, $3, 'rollback', $4, $5, $6, $7, $8, $9)";
    let kind = "rolled_back";
    let alias = json!({"stage": request.stage, "version": restores.version});
    let mut statements: Vec<(String, Vec<Param<'_>>)> = vec![
        (close.into(), vec![(&standing.id, Type::INT8)]),
        (
            open.into(),
            vec![
                (&model_id, Type::INT8),
                (&restores.version_id, Type::INT8),
                (&request.stage, Type::TEXT),
                (&standing.id, Type::INT8),
                (&restores.id, Type::INT8),
                (&request.reason, Type::TEXT),
                (&actor.name, Type::TEXT),
                (&actor.run_url, Type::TEXT),
                (&actor.git_sha, Type::TEXT),
            ],
        ),
        (EVENT.into(), vec![(&model_id, Type::INT8), (&actor.name, Type::TEXT), (&kind, Type::TEXT), (&payload, Type::JSONB)]),
    ];
    if outbox {
        statements.push((ALIAS.into(), vec![(&model_id, Type::INT8), (&alias, Type::JSONB)]));
    }
    writing.finish("rolling back", &statements).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `p3` promotes version 3, `r` rolls back.
    fn play(script: &str, quarantined: &[i32]) -> Vec<Deployment> {
        let mut all: Vec<Deployment> = Vec::new();
        for word in script.split(' ') {
            let id = i64::try_from(all.len()).expect("few") + 1;
            let active = all.iter().position(|d| d.status == "active");
            let target = (word == "r").then(|| {
                let marked = quarantined.iter().map(|v| i64::from(*v)).collect();
                walk(&all, &marked, "production", None).expect("target").restores
            });
            let version = target.as_ref().map_or_else(|| word[1..].parse().expect("version"), |t| t.version);
            if let Some(at) = active {
                all[at].status = if target.is_some() { "rolled_back" } else { "superseded" }.into();
            }
            all.push(Deployment {
                id,
                version_id: i64::from(version),
                model: "m".into(),
                version,
                label: String::new(),
                stage: "production".into(),
                kind: if target.is_some() { "rollback" } else { "promote" }.into(),
                status: "active".into(),
                supersedes: active.map(|at| all[at].id),
                restores: target.map(|t| t.id),
                reason: None,
                actor: String::new(),
                ci_run_url: None,
                git_sha: None,
                started_at: chrono::DateTime::UNIX_EPOCH,
                ended_at: None,
            });
        }
        all
    }

    fn leads(script: &str, quarantined: &[i32], to: Option<i32>) -> Result<i32, Reason> {
        let marked = quarantined.iter().map(|v| i64::from(*v)).collect();
        walk(&play(script, &[]), &marked, "production", to).map(|t| t.restores.version).map_err(|r| r.reason)
    }

    #[test]
    fn a_rollback_walks_back_and_never_forth() {
        assert_eq!(leads("p1 p2 p3", &[], None), Ok(2));
        assert_eq!(leads("p1 p2 p3 r", &[], None), Ok(1));
        assert_eq!(leads("p1 p2 p3 r r", &[], None), Err(Reason::NothingToRollBackTo));
        assert_eq!(leads("p1 p2 p3 r p4", &[], None), Ok(2));
        assert_eq!(leads("p1 p2 p3 r p4 r", &[], None), Ok(1));
        assert_eq!(leads("p1", &[], None), Err(Reason::NothingToRollBackTo));
        assert_eq!(leads("p2 p1 p2", &[], None), Ok(1), "a version is no way back to itself");
        assert_eq!(leads("p1 p2 p1 r", &[], None), Ok(1));
    }

    #[test]
    fn what_is_quarantined_is_skipped_and_a_version_can_be_named() {
        assert_eq!(leads("p1 p2 p3", &[2], None), Ok(1));
        assert_eq!(leads("p1 p2 p3", &[1, 2], None), Err(Reason::NothingToRollBackTo));
        assert_eq!(leads("p1 p2 p3", &[], Some(1)), Ok(1));
        assert_eq!(leads("p1 p2 p3", &[], Some(9)), Err(Reason::NeverDeployed));
        assert_eq!(leads("p1 p2 p3", &[1], Some(1)), Err(Reason::Quarantined));
        assert_eq!(leads("p1 p2 p3", &[], Some(3)), Err(Reason::NothingToRollBackTo));
    }
}
