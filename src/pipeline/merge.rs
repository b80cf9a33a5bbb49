//! Reports of several jobs as one. What is the same everywhere stands there once, what differs says where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::outcome::{Outcome, Policy, RunReport, Shard, StageReport, Status, Table, Verdict};

/// The report of one job, and where it was found.
pub struct Leg {
    pub report: RunReport,
    pub place: String,
}

impl Leg {
    fn name(&self) -> &str {
        self.report.leg.as_deref().unwrap_or(&self.place)
    }
}

/// `Err`: these are not reports of one run. A report that is missing is in the result, as what could not be evaluated.
pub fn merge(mut legs: Vec<Leg>, expect: Option<usize>, policy: Policy) -> Result<RunReport, String> {
    legs.sort_by(|a, b| (a.report.shard, a.name()).cmp(&(b.report.shard, b.name())));
    one_run(&legs)?;
    legs.iter().try_for_each(consistent)?;
    let mut stages: Vec<StageReport> = names(&legs).into_iter().map(|name| stage(name, &legs)).collect();
    stages.extend(missing(&legs, expect)?);
    let policy = Policy { fail_on_warning: policy.fail_on_warning || legs.iter().any(is_stricter), ..policy };
    let (verdict, exit_code) = RunReport::verdict_of(&stages, policy);
    let first = legs.first().map(|leg| leg.report.clone()).ok_or("there is no report")?;
    let all = |get: &dyn Fn(&RunReport) -> String| legs.iter().map(|leg| get(&leg.report)).collect::<BTreeSet<_>>();
    Ok(RunReport {
        tool_version: env!("CARGO_PKG_VERSION").into(),
        database: all(&|r| r.database.clone()).into_iter().collect::<Vec<_>>().join(", "),
        started_at: all(&|r| r.started_at.clone()).into_iter().next().unwrap_or_default(),
        elapsed: legs.iter().map(|leg| leg.report.elapsed).max().unwrap_or_default(),
        narrowed: legs.iter().any(|leg| leg.report.narrowed),
        leg: None,
        shard: None,
        verdict,
        exit_code,
        counts: RunReport::count_outcomes(&stages),
        stages,
        ..first
    })
}

/// What contradicts itself was not written by a run.
fn consistent(leg: &Leg) -> Result<(), String> {
    let report = &leg.report;
    let wrong = |what: String| Err(format!("{}: {what}", leg.place));
    if report.project.trim().is_empty() {
        return wrong("`project` is empty".into());
    }
    if let Some(shard) = report.shard.filter(|shard| !shard.is_sound()) {
        return wrong(format!("`shard` is part {} of {}; there are {} parts at the most", shard.part, shard.of, Shard::MOST));
    }
    for stage in &report.stages {
        let said = if stage.outcomes.is_empty() { Status::Broken } else { StageReport::worst(&stage.outcomes) };
        if stage.status != said {
            return wrong(format!("the stage `{}` is {}, but its outcomes are {}", stage.name, stage.status.word(), said.word()));
        }
    }
    let said = by_stages(report);
    if report.verdict != said && !is_stricter(leg) {
        return wrong(format!("`verdict` is {}, but its stages are {}", Status::from(report.verdict).word(), Status::from(said).word()));
    }
    // Of a run with warnings it is what `--warn-exit-code` asked for.
    let code = report.verdict.exit_code(Policy { warn_exit_code: Some(report.exit_code), ..Policy::default() });
    if code == report.exit_code {
        return Ok(());
    }
    wrong(format!("`exit_code` is {}, but `verdict` is {}", report.exit_code, Status::from(report.verdict).word()))
}

fn by_stages(report: &RunReport) -> Verdict {
    RunReport::verdict_of(&report.stages, Policy::default()).0
}

/// `--fail-on warned`
fn is_stricter(leg: &Leg) -> bool {
    leg.report.verdict == Verdict::Failed && by_stages(&leg.report) == Verdict::Warned
}

fn one_run(legs: &[Leg]) -> Result<(), String> {
    let Some(first) = legs.first() else { return Err("there is no report".into()) };
    for leg in legs {
        let differs =
            |what: &str, a: &str, b: &str| Err(format!("the reports are not of one run: {} has {what} {a}, {} has {b}", first.place, leg.place));
        let (a, b) = (&first.report, &leg.report);
        if a.project != b.project {
            return differs("project", &a.project, &b.project);
        }
        let none = || "none".to_owned();
        if a.environment != b.environment {
            return differs("environment", &a.environment.clone().unwrap_or_else(none), &b.environment.clone().unwrap_or_else(none));
        }
        if a.commit != b.commit {
            return differs("commit", &a.commit.clone().unwrap_or_else(none), &b.commit.clone().unwrap_or_else(none));
        }
        if a.artifact.is_some() && b.artifact.is_some() && a.artifact != b.artifact {
            return differs("model", a.artifact.as_deref().unwrap_or_default(), b.artifact.as_deref().unwrap_or_default());
        }
    }
    Ok(())
}

/// Of all stages, in the order in which the jobs ran them.
fn names(legs: &[Leg]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for leg in legs {
        let mut at = 0;
        for stage in &leg.report.stages {
            match names.iter().position(|name| *name == stage.name) {
                Some(found) => at = found + 1,
                None => {
                    names.insert(at, &stage.name);
                    at += 1;
                }
            }
        }
    }
    names
}

/// What a job found, in which jobs.
struct Found {
    outcome: Outcome,
    legs: BTreeSet<usize>,
}

fn stage(name: &str, legs: &[Leg]) -> StageReport {
    let ran: Vec<(usize, &StageReport)> =
        legs.iter().enumerate().flat_map(|(i, leg)| leg.report.stages.iter().filter(|s| s.name == name).map(move |s| (i, s))).collect();
    let outcomes = outcomes(&ran, legs);
    let own = ran.iter().map(|(_, s)| s.status).filter(|status| *status != Status::Skipped).max();
    let status = StageReport::worst(&outcomes).max(own.unwrap_or(Status::Passed));
    let mut pictures = Vec::new();
    for picture in ran.iter().flat_map(|(_, s)| &s.pictures) {
        if !pictures.contains(picture) {
            pictures.push(picture.clone());
        }
    }
    StageReport {
        name: name.into(),
        status,
        summary: summary(&ran, legs),
        outcomes,
        artifacts: ran.iter().flat_map(|(_, s)| &s.artifacts).collect::<BTreeSet<_>>().into_iter().cloned().collect(),
        table: table(&ran),
        pictures,
        outputs: outputs(&ran),
        elapsed: ran.iter().map(|(_, s)| s.elapsed).max().unwrap_or_default(),
    }
}

fn outcomes(ran: &[(usize, &StageReport)], legs: &[Leg]) -> Vec<Outcome> {
    let mut found: Vec<Found> = Vec::new();
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (leg, stage) in ran {
        for outcome in &stage.outcomes {
            let same = places.entry(said(outcome)).or_default();
            // Twice in one job is two.
            match same.iter().copied().find(|at| !found[*at].legs.contains(leg)) {
                Some(at) => {
                    found[at].outcome.elapsed = found[at].outcome.elapsed.max(outcome.elapsed);
                    found[at].legs.insert(*leg);
                }
                None => {
                    same.push(found.len());
                    found.push(Found { outcome: outcome.clone(), legs: BTreeSet::from([*leg]) });
                }
            }
        }
    }
    let mut variants: BTreeMap<(String, String), BTreeSet<BTreeSet<usize>>> = BTreeMap::new();
    for f in &found {
        variants.entry((f.outcome.subject.clone(), f.outcome.name.clone())).or_default().insert(f.legs.clone());
    }
    let told = |f: Found| {
        let mut outcome = f.outcome;
        if variants.get(&(outcome.subject.clone(), outcome.name.clone())).is_some_and(|v| v.len() > 1) {
            let names: Vec<&str> = f.legs.iter().map(|leg| legs[*leg].name()).collect();
            outcome.name = format!("{} [{}]", outcome.name, names.join(", "));
        }
        outcome
    };
    found.into_iter().map(told).collect()
}

/// Everything but how long it took.
fn said(outcome: &Outcome) -> String {
    serde_json::to_string(&Outcome { elapsed: Duration::ZERO, ..outcome.clone() }).unwrap_or_default()
}

fn summary(ran: &[(usize, &StageReport)], legs: &[Leg]) -> String {
    let different: BTreeSet<&str> = ran.iter().map(|(_, s)| s.summary.as_str()).collect();
    if different.len() == 1 {
        return different.into_iter().collect();
    }
    ran.iter().map(|(leg, s)| format!("{}: {}", legs[*leg].name(), s.summary)).collect::<Vec<_>>().join(" · ")
}

/// Rows under the same heads.
fn table(ran: &[(usize, &StageReport)]) -> Option<Table> {
    let mut tables = ran.iter().filter_map(|(_, s)| s.table.as_ref());
    let mut all = tables.next()?.clone();
    for more in tables.filter(|t| t.columns.len() == all.columns.len()).cloned().collect::<Vec<_>>() {
        let new: Vec<_> = more.rows.into_iter().filter(|row| !all.rows.contains(row)).collect();
        all.rows.extend(new);
    }
    Some(all)
}

/// What all agree on.
fn outputs(ran: &[(usize, &StageReport)]) -> BTreeMap<String, String> {
    let mut values: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    ran.iter().flat_map(|(_, s)| &s.outputs).for_each(|(key, value)| {
        values.entry(key).or_default().insert(value);
    });
    values.into_iter().filter(|(_, v)| v.len() == 1).flat_map(|(key, v)| v.into_iter().map(|value| (key.clone(), value.clone()))).collect()
}

/// A job that died has left no report: that is not passed.
fn missing(legs: &[Leg], expect: Option<usize>) -> Result<Option<StageReport>, String> {
    let mut outcomes = Vec::new();
    let broken = |message: String| {
        let remedy = "its job failed before it could write one, or its report was not kept: see the job's log";
        Outcome::new("reports", "merge", Status::Broken, message).with_remedy(Some(remedy.into()))
    };
    if let Some(expected) = expect.filter(|n| *n != legs.len()) {
        outcomes.push(broken(format!(
            "{} of {expected} expected reports are there: {}",
            legs.len(),
            legs.iter().map(Leg::name).collect::<Vec<_>>().join(", ")
        )));
    }
    for leg in legs.iter().filter(|leg| leg.report.stages.iter().flat_map(|s| &s.outcomes).all(|o| o.status == Status::Skipped)) {
        outcomes.push(broken(format!("the report of {} has evaluated nothing", leg.name())));
    }
    let mut names: BTreeMap<(&str, Option<Shard>), usize> = BTreeMap::new();
    for leg in legs {
        *names.entry((leg.name(), leg.report.shard)).or_default() += usize::from(leg.report.leg.is_some());
    }
    if let Some(((name, _), _)) = names.into_iter().find(|(_, count)| *count > 1) {
        return Err(format!("there are two reports of {name}"));
    }
    let mut families: BTreeMap<String, Vec<Shard>> = BTreeMap::new();
    for leg in legs {
        let Some(shard) = leg.report.shard else { continue };
        // `--leg py3.12` in a matrix of versions and shards: every version has all of its shards.
        let named = leg.report.leg.clone().filter(|name| *name != shard.to_string()).unwrap_or_default();
        families.entry(named).or_default().push(shard);
    }
    for (name, mut shards) in families {
        shards.sort_unstable();
        let of = shards.iter().map(|s| s.of).max().unwrap_or_default();
        let what = if name.is_empty() { String::new() } else { format!(" of {name}") };
        if shards.iter().any(|s| s.of != of) {
            return Err(format!(
                "the reports{what} are parts of different wholes: {}",
                shards.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ));
        }
        if let Some([twice, _]) = shards.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("there are two reports of part {twice}{what}"));
        }
        let lost: Vec<String> = (1..=of).filter(|part| !shards.iter().any(|s| s.part == *part)).map(|part| format!("{part}/{of}")).collect();
        if !lost.is_empty() {
            outcomes.push(broken(format!("there is no report of part {}{what}", lost.join(", "))));
        }
    }
    if outcomes.is_empty() {
        return Ok(None);
    }
    let summary = outcomes.iter().map(|o| o.message.clone()).collect::<Vec<_>>().join("; ");
    Ok(Some(StageReport { status: Status::Broken, summary, outcomes, ..StageReport::skipped("merge", String::new()) }))
}
