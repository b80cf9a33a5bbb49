//! Whether the registry is what it was when it was written: every event follows the one before, every version is the row
//! that its event saw, and what stands in a stage is what the events say.

use serde::Deserialize;
use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::session::{Registry, RegistryError};

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    pub events: u64,
    pub versions: u64,
    /// The digest of the last event: who keeps it elsewhere finds also a history that was rewritten as a whole.
    pub head: String,
    pub wrong: Vec<String>,
}

#[derive(Deserialize)]
struct Link {
    seq: i64,
    what: String,
}

pub async fn verify(registry: &Registry<'_>, model: &str) -> Result<Verified, RegistryError> {
    let doing = "verifying the history";
    let of = [(&model as _, Type::TEXT)];
    let heads: Vec<Json> = registry
        .read(
            doing,
            "select m.head, (select count(*) from mlops.event e where e.model_id = m.id) as events, \
             (select count(*) from mlops.model_version v where v.model_id = m.id) as versions, m.next_version, \
             (select max(version) from mlops.model_version v where v.model_id = m.id) as last from mlops.model m where m.name = $1",
            &of,
        )
        .await?;
    let Some(head) = heads.first() else { return Err(RegistryError::Unknown(format!("the registry has no model `{model}`"))) };
    let number = |name: &str| head[name].as_u64().unwrap_or_default();
    let mut verified =
        Verified { events: number("events"), versions: number("versions"), head: head["head"].as_str().unwrap_or_default().into(), wrong: vec![] };
    let links: Vec<Link> = registry
        .read(
            doing,
            "select seq, case when digest is distinct from really then 'was edited: its digest is not that of what it says' \
             when prev is distinct from before then 'does not follow the event before it: something between them is gone' \
             when next is null and digest is distinct from head then 'is not the last one that was written: later ones are gone' end as what \
             from (select e.seq, e.digest, e.prev, mlops.event_digest(e) as really, coalesce(lag(e.digest) over (order by e.seq), '') as before, \
             lead(e.seq) over (order by e.seq) as next, m.head from mlops.event e join mlops.model m on m.id = e.model_id where m.name = $1) x \
             where digest is distinct from really or prev is distinct from before or (next is null and digest is distinct from head) order by seq limit 20",
            &of,
        )
        .await?;
    verified.wrong.extend(links.into_iter().map(|link| format!("event {} {}", link.seq, link.what)));
    if verified.events == 0 && !verified.head.is_empty() {
        verified.wrong.push("every event is gone".into());
    }
    verified.wrong.extend(rows(registry, model).await?);
    verified.wrong.extend(told(registry, model).await?);
    if number("next_version") != number("last") + 1 {
        verified.wrong.push(format!(
            "the next version would be {}, and the last one is {}: versions are gone",
            number("next_version"),
            number("last")
        ));
    }
    Ok(verified)
}

/// Each version is the row that its event has seen.
async fn rows(registry: &Registry<'_>, model: &str) -> Result<Vec<String>, RegistryError> {
    let sql = "select v.version as seq, case when e.seq is null then 'was never registered: no event tells of it' \
               else 'was edited after it was registered' end as what from mlops.model_version v join mlops.model m on m.id = v.model_id \
               left join mlops.event e on e.model_id = m.id and e.kind = 'registered' and e.payload->'version' = to_jsonb(v.version) \
               where m.name = $1 and (e.seq is null or e.payload->>'row' is distinct from mlops.version_digest(v)) order by 1 limit 20";
    let wrong: Vec<Link> = registry.read("verifying the versions", sql, &[(&model, Type::TEXT)]).await?;
    let gone = "select (e.payload->>'version')::int as seq, 'is gone: an event tells of it' as what from mlops.event e join mlops.model m on m.id = e.model_id \
                where m.name = $1 and e.kind = 'registered' and not exists (select from mlops.model_version v where v.model_id = m.id \
                and to_jsonb(v.version) = e.payload->'version') order by 1 limit 20";
    let gone: Vec<Link> = registry.read("verifying the versions", gone, &[(&model, Type::TEXT)]).await?;
    Ok(wrong.into_iter().chain(gone).map(|link| format!("version {} {}", link.seq, link.what)).collect())
}

/// Deployments, approvals and marks are told by events too, one each, in the same order.
async fn told(registry: &Registry<'_>, model: &str) -> Result<Vec<String>, RegistryError> {
    let mut wrong = Vec::new();
    for sql in [DEPLOYMENTS, VERDICTS, MARKS] {
        let found: Vec<Link> = registry.read("verifying what the events tell of", sql, &[(&model, Type::TEXT)]).await?;
        wrong.extend(found.into_iter().map(|link| link.what));
    }
    Ok(wrong)
}

/// A deployment is what its event says, follows the one before in its stage, and is ended by the one after.
const DEPLOYMENTS: &str = "
with d as (
  select row_number() over (order by p.id) as n, p.*, v.version, case p.kind when 'promote' then 'promoted' else 'rolled_back' end as said,
    lag(p.id) over (partition by p.stage order by p.id) as before, lead(p.kind) over (partition by p.stage order by p.id) as next_kind,
    lead(p.started_at) over (partition by p.stage order by p.id) as next_start
  from mlops.deployment p join mlops.model_version v on v.id = p.version_id join mlops.model m on m.id = p.model_id where m.name = $1
), e as (
  select row_number() over (order by e.seq) as n, e.* from mlops.event e join mlops.model m on m.id = e.model_id
  where m.name = $1 and e.kind in ('promoted', 'rolled_back')
)
select coalesce(d.id, 0) as seq, case
    when d.id is null then format('the deployment of event %s (version %s in %s) is gone', e.seq, e.payload->>'version', e.payload->>'stage')
    when e.seq is null then format('deployment %s (version %s in %s): no event tells of it', d.id, d.version, d.stage)
    else format('deployment %s is not what event %s says: %s holds version %s, and the event says version %s in %s', d.id, e.seq, d.stage, d.version, e.payload->>'version', e.payload->>'stage') end as what
from d full join e on e.n = d.n
where d.id is null or e.seq is null or d.said <> e.kind or to_jsonb(d.version) is distinct from e.payload->'version' or d.stage is distinct from e.payload->>'stage'
  or d.actor <> e.actor or d.reason is distinct from e.payload->>'reason' or d.ci_run_url is distinct from e.payload->>'run' or d.git_sha is distinct from e.payload->>'commit'
  or abs(extract(epoch from d.started_at - e.at)) > 60 or d.supersedes is distinct from d.before
  or d.restores is distinct from (e.payload->>'restores')::bigint
  or d.status <> (case d.next_kind when 'promote' then 'superseded' when 'rollback' then 'rolled_back' else 'active' end)
  or abs(extract(epoch from d.ended_at - d.next_start)) > 60
order by coalesce(d.n, e.n) limit 20";

const VERDICTS: &str = "
with d as (
  select row_number() over (order by x.id) as n, x.*, v.version from mlops.verdict x
  join mlops.model_version v on v.id = x.version_id join mlops.model m on m.id = x.model_id where m.name = $1
), e as (
  select row_number() over (order by e.seq) as n, e.* from mlops.event e join mlops.model m on m.id = e.model_id
  where m.name = $1 and e.kind in ('approved', 'rejected')
)
select coalesce(d.id, 0) as seq, case
    when d.id is null then format('what %s said in event %s is gone', e.actor, e.seq)
    when e.seq is null then format('no event tells that %s %s version %s for %s', d.actor, case when d.approved then 'approved' else 'rejected' end, d.version, d.stage)
    else format('what %s says of version %s for %s is not what event %s says', d.actor, d.version, d.stage, e.seq) end as what
from d full join e on e.n = d.n
where d.id is null or e.seq is null or d.approved <> (e.kind = 'approved') or to_jsonb(d.version) is distinct from e.payload->'version'
  or d.stage is distinct from e.payload->>'stage' or d.actor <> e.actor or d.reason is distinct from e.payload->>'reason'
order by coalesce(d.n, e.n) limit 20";

/// A mark stands until an event lifts it.
const MARKS: &str = "
with d as (
  select row_number() over (order by k.id) as n, k.*, v.version from mlops.mark k
  join mlops.model_version v on v.id = k.version_id join mlops.model m on m.id = k.model_id where m.name = $1
), e as (
  select row_number() over (order by e.seq) as n, e.*, (select r.actor from mlops.event r where r.model_id = e.model_id and r.seq > e.seq and r.kind = 'released'
    and r.payload->'version' = e.payload->'version' and r.payload->'lifted' ? e.kind order by r.seq limit 1) as lifted
  from mlops.event e join mlops.model m on m.id = e.model_id where m.name = $1 and e.kind in ('quarantined', 'deprecated')
)
select coalesce(d.id, 0) as seq, case
    when d.id is null then format('version %s was %s in event %s, and no mark says so', e.payload->>'version', e.kind, e.seq)
    when e.seq is null then format('no event tells that version %s is %s', d.version, d.kind)
    else format('the mark on version %s (%s) is not what event %s and those after it say', d.version, d.kind, e.seq) end as what
from d full join e on e.n = d.n
where d.id is null or e.seq is null or d.kind <> e.kind or to_jsonb(d.version) is distinct from e.payload->'version' or d.actor <> e.actor
  or d.reason is distinct from e.payload->>'reason' or d.lifted_by is distinct from e.lifted
order by coalesce(d.n, e.n) limit 20";
