//! May this version stand in that stage? A pure judgement over what the registry knows; it names every obstacle at once.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::read::Deployment;
use super::refusal::{Reason, Refusal, Refusals};
use super::settings::{Gates, Policy};
use super::version::Version;
use crate::units::{Span, counted};

/// What a promotion asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub stage: String,
    /// What must stand there now.
    pub expect: Option<Expected>,
    /// Obstacles that may be passed.
    pub allow: Vec<Reason>,
    pub reason: Option<String>,
    pub branch: Option<String>,
}

/// What must stand in a stage for a promotion to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Nothing,
    Version(i32),
}

impl Expected {
    fn of(standing: Option<i32>) -> Self {
        standing.map_or(Self::Nothing, Self::Version)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}

/// What somebody said about a version and a stage.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(super) struct Verdict {
    pub(super) actor: String,
    pub(super) approved: bool,
    pub(super) reason: Option<String>,
}

/// What the registry knows.
pub(super) struct Known<'a> {
    pub(super) version: &'a Version,
    /// What stands in the stage now.
    pub(super) standing: Option<&'a Deployment>,
    /// Every deployment of this version, in any stage, the oldest first.
    pub(super) deployments: &'a [Deployment],
    /// The last word of each.
    pub(super) verdicts: &'a [Verdict],
    /// A quarantined version with the same artifact.
    pub(super) twin: Option<i32>,
    /// The server's clock, by which everything was written down.
    pub(super) now: DateTime<Utc>,
}

pub(super) fn judge(policy: &Policy, request: &Request, known: &Known<'_>) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = expectation(request, known).into_iter().collect();
    refusals.extend(gates(policy, known.version));
    refusals.extend(marks(known.version));
    refusals.extend(known.twin.map(|twin| {
        let what = format!("the artifact of {} is that of version {twin}, which is quarantined", known.version.title());
        Refusal::new(Reason::Quarantined, what).but(format!("`mlops model release {twin}` lifts it"))
    }));
    refusals.extend(people(policy, request, known));
    refusals.extend(before(policy, known));
    refusals.extend(order(request, known));
    if !policy.branches.is_empty() && !request.branch.as_ref().is_some_and(|branch| policy.branches.contains(branch)) {
        let here = request.branch.as_deref().map_or_else(|| "this is none".into(), |b| format!("this is `{b}`"));
        let what = format!("only {} may promote to {}, and {here}", policy.branches.join(", "), request.stage);
        refusals.push(Refusal::new(Reason::BranchNotAllowed, what));
    }
    refusals
}

/// What was passed, or what may not be.
pub(super) fn settle(refusals: Vec<Refusal>, policy: &Policy, request: &Request) -> Result<Vec<Reason>, Refusals> {
    let allow: &[Reason] = if policy.overrides == Some(false) { &[] } else { &request.allow };
    let passed = refusals.iter().map(|r| r.reason).filter(|reason| allow.contains(reason)).collect();
    let refusals = Refusals(refusals).except(allow);
    if refusals.is_empty() { Ok(passed) } else { Err(refusals) }
}

/// Of a version that stands there already: what is asked, and whether it may stand there still.
pub(super) fn still(request: &Request, known: &Known<'_>) -> Vec<Refusal> {
    expectation(request, known).into_iter().chain(marks(known.version)).collect()
}

fn expectation(request: &Request, known: &Known<'_>) -> Option<Refusal> {
    let expected = request.expect?;
    let stands = Expected::of(known.standing.map(|d| d.version));
    (expected != stands).then(|| {
        let what = format!("{stands} stands in {}, not {expected} as expected", request.stage);
        Refusal::new(Reason::ExpectationFailed, what).but("somebody else was faster: look again, then decide again")
    })
}

fn gates(policy: &Policy, version: &Version) -> Option<Refusal> {
    let title = version.title();
    match (policy.gates, version.gates_passed) {
        (Gates::Any, _) => None,
        (_, None) => {
            let what = format!("not every gate was evaluated for {title}: what was not evaluated has not passed");
            Some(Refusal::new(Reason::GatesNotEvaluated, what).but("register it in a whole `mlops run`"))
        }
        (_, Some(false)) => Some(Refusal::new(Reason::GatesFailed, format!("gates of {title} failed")).but("`mlops model show` names them")),
        (Gates::Clean, _) if version.gates_warned => {
            Some(Refusal::new(Reason::GatesWarned, format!("gates of {title} warned, and this asks for clean ones")))
        }
        _ => None,
    }
}

pub(super) fn marks(version: &Version) -> Vec<Refusal> {
    let refusal = |mark: &super::version::Marked| {
        let reason = if mark.kind == "quarantined" { Reason::Quarantined } else { Reason::Deprecated };
        let what = format!("{} is {} since {} by {}: {}", version.title(), mark.kind, mark.set_at.format("%Y-%m-%d %H:%M"), mark.actor, mark.reason);
        Refusal::new(reason, what).but(format!("`mlops model release {}` lifts it", version.version))
    };
    version.marks.iter().map(refusal).collect()
}

pub(super) fn rejections(verdicts: &[Verdict], version: &Version, stage: &str) -> Vec<Refusal> {
    let no = |no: &Verdict| {
        let why = no.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
        Refusal::new(Reason::Rejected, format!("{} rejected {} for {stage}{why}", no.actor, version.title()))
    };
    verdicts.iter().filter(|verdict| !verdict.approved).map(no).collect()
}

fn people(policy: &Policy, request: &Request, known: &Known<'_>) -> Vec<Refusal> {
    let mut refusals = rejections(known.verdicts, known.version, &request.stage);
    let counts = |who: &str| {
        // Two pairs of eyes: nobody approves of what they made.
        known.version.actor.as_deref() != Some(who) && (policy.approvers.is_empty() || policy.approvers.iter().any(|name| name == who))
    };
    let given = known.verdicts.iter().filter(|v| v.approved && counts(&v.actor)).count();
    if given < policy.approvals {
        let whose = if policy.approvers.is_empty() { String::new() } else { format!(" of {}", policy.approvers.join(", ")) };
        let asked = counted(policy.approvals as u64, "approval");
        let what = format!("{} asks for {asked}{whose} and has {given}; whoever registered the version does not count", request.stage);
        let remedy = format!("`mlops model approve {} --stage {}`", known.version.version, request.stage);
        refusals.push(Refusal::new(Reason::ApprovalMissing, what).but(remedy));
    }
    refusals
}

fn before(policy: &Policy, known: &Known<'_>) -> Option<Refusal> {
    let after = policy.after.as_ref()?.as_str();
    let stood: Vec<&Deployment> = known.deployments.iter().filter(|d| d.stage == after).collect();
    let title = known.version.title();
    let missing = |what: String| {
        Some(Refusal::new(Reason::StageBeforeMissing, what).but(format!("`mlops model promote {} --to {after}` comes first", known.version.version)))
    };
    match stood.last() {
        None => return missing(format!("{title} has never stood in {after}")),
        Some(last) if last.status == "rolled_back" => return missing(format!("{title} was rolled back from {after}")),
        Some(_) => {}
    }
    let soak = policy.soak?;
    let longest = stood.iter().map(|d| d.ended_at.unwrap_or(known.now) - d.started_at).max().unwrap_or_default();
    (longest < TimeDelta::from_std(soak.0).unwrap_or(TimeDelta::MAX)).then(|| {
        let so_far = Span(longest.to_std().unwrap_or_default());
        Refusal::new(Reason::SoakTime, format!("{title} has stood in {after} for {so_far}, and {soak} are asked for"))
    })
}

fn order(request: &Request, known: &Known<'_>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let version = known.version;
    let Request { stage, .. } = request;
    if let Some(standing) = known.standing.filter(|standing| standing.version > version.version) {
        let what = format!("version {} stands in {stage}, which is newer than version {}", standing.version, version.version);
        let remedy = format!("to go back use `mlops model rollback --stage {stage}`, or `--allow older_than_active`");
        refusals.push(Refusal::new(Reason::OlderThanActive, what).but(remedy));
    }
    let here = known.deployments.iter().rfind(|d| d.stage == *stage);
    if let Some(back) = here.filter(|d| d.status == "rolled_back") {
        let when = back.ended_at.unwrap_or(back.started_at).format("%Y-%m-%d %H:%M");
        let what = format!("version {} was rolled back from {stage} on {when}", version.version);
        refusals.push(Refusal::new(Reason::RolledBack, what).but("`--allow rolled_back`, once it is known why"));
    }
    refusals
}
