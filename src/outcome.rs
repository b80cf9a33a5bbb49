//! What happened: one neutral result for every kind of work, and the verdict that follows from all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::picture::Picture;

/// How one thing ended. `Broken` could not be evaluated and is never green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Passed,
    Skipped,
    Warned,
    Failed,
    Broken,
}

impl Status {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Broken => "broken",
        }
    }

    /// What a reader must see first.
    pub const fn needs_attention(self) -> bool {
        matches!(self, Self::Failed | Self::Broken | Self::Warned)
    }

    /// Whether work that needs this may go on.
    pub const fn lets_on(self) -> bool {
        matches!(self, Self::Passed | Self::Warned)
    }
}

/// A number that a gate looked at, and what it should have been.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measure {
    /// `null` when it is not a number.
    pub value: Option<f64>,
    pub expected: String,
}

/// The result of one check, metric, migration, file …
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// What was looked at: `flights.tailnum`, `0001_create_flights`, `delay`.
    pub subject: String,
    /// The check, metric or action: `references`, `roc_auc`, `apply`.
    pub name: String,
    pub status: Status,
    /// One sentence that stands alone.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measure: Option<Measure>,
    /// What to do about it, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<String>,
    /// Failing rows, statements, hints: a line each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<String>,
    /// The file and line to look at, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Location>,
    #[serde(rename = "elapsed_seconds", with = "seconds")]
    #[schemars(with = "f64")]
    pub elapsed: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Outcome {
    pub fn new(subject: impl Into<String>, name: impl Into<String>, status: Status, message: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            name: name.into(),
            status,
            message: message.into(),
            measure: None,
            remedy: None,
            evidence: Vec::new(),
            location: None,
            elapsed: Duration::ZERO,
        }
    }

    #[must_use]
    pub fn took(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    #[must_use]
    pub fn with_remedy(mut self, remedy: Option<String>) -> Self {
        self.remedy = remedy;
        self
    }

    #[must_use]
    pub fn with_evidence(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    #[must_use]
    pub fn measured(mut self, value: f64, expected: impl Into<String>) -> Self {
        self.measure = Some(Measure { value: value.is_finite().then_some(value), expected: expected.into() });
        self
    }

    /// What was found, and what to do about it.
    pub fn told(&self, between: &str) -> String {
        let parts: Vec<&str> = std::iter::once(&self.message).chain(&self.remedy).map(String::as_str).collect();
        parts.join(between)
    }

    #[must_use]
    pub fn at(mut self, location: Option<Location>) -> Self {
        self.location = location;
        self
    }
}

/// Rows under a title, for pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    pub title: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// One stage: what it found, in the order in which it found it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageReport {
    pub name: String,
    pub status: Status,
    /// What a reader wants to know when all went well: `5 applied`, `5 tables up to date`.
    pub summary: String,
    pub outcomes: Vec<Outcome>,
    /// Files written, relative to the workspace.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub artifacts: Vec<String>,
    /// What a reviewer wants to see side by side.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub table: Option<Table>,
    /// What people would rather look at.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pictures: Vec<Picture>,
    /// What the next step of the job reads.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub outputs: BTreeMap<String, String>,
    #[serde(rename = "elapsed_seconds", with = "seconds")]
    #[schemars(with = "f64")]
    pub elapsed: Duration,
}

impl StageReport {
    pub fn skipped(name: &str, because: String) -> Self {
        Self {
            name: name.into(),
            status: Status::Skipped,
            summary: because.clone(),
            outcomes: vec![Outcome::new(name, "stage", Status::Skipped, because)],
            artifacts: Vec::new(),
            table: None,
            pictures: Vec::new(),
            outputs: BTreeMap::new(),
            elapsed: Duration::ZERO,
        }
    }

    pub fn worst(outcomes: &[Outcome]) -> Status {
        let worst = outcomes.iter().map(|o| o.status).max().unwrap_or(Status::Passed);
        let all_skipped = !outcomes.is_empty() && outcomes.iter().all(|o| o.status == Status::Skipped);
        if worst == Status::Skipped && !all_skipped { Status::Passed } else { worst }
    }
}

/// The answer of a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Passed,
    Warned,
    Failed,
    Broken,
}

impl From<Verdict> for Status {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Warned => Self::Warned,
            Verdict::Failed => Self::Failed,
            Verdict::Broken => Self::Broken,
        }
    }
}

impl Verdict {
    pub fn exit_code(self, policy: Policy) -> u8 {
        match self {
            Self::Passed => exit::PASSED,
            Self::Warned => policy.warn_exit_code.unwrap_or(exit::PASSED),
            Self::Failed => exit::FAILED,
            Self::Broken => exit::BROKEN,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "passed with warnings",
            Self::Failed => "failed",
            Self::Broken => "could not be evaluated",
        }
    }
}

/// The process's exit codes: the whole table.
pub mod exit {
    pub const PASSED: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const BROKEN: u8 = 3;
}

/// How a project reads warnings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    pub fail_on_warning: bool,
    pub warn_exit_code: Option<u8>,
}

/// `--shard 2/5`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Shard {
    pub part: u32,
    pub of: u32,
}

impl Shard {
    /// More jobs than any pipeline has.
    pub const MOST: u32 = 10_000;

    pub fn parse(text: &str) -> Option<Self> {
        let (part, of) = text.split_once('/')?;
        let shard = Self { part: part.trim().parse().ok()?, of: of.trim().parse().ok()? };
        shard.is_sound().then_some(shard)
    }

    pub const fn is_sound(self) -> bool {
        self.part > 0 && self.part <= self.of && self.of <= Self::MOST
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

/// Everything a sink may want to say. Version 1 of the published format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    pub format_version: u32,
    pub tool_version: String,
    pub project: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub environment: Option<String>,
    /// Where the data was, without a password.
    pub database: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// The sha256 of `model.artifact` as it lay there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact: Option<String>,
    /// Only some of the data gates were asked for, by name or tag.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub narrowed: bool,
    /// What the job is called among those that run beside it: `--leg`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leg: Option<String>,
    /// The part of the tables that was looked at, of how many.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<Shard>,
    /// RFC 3339, UTC.
    pub started_at: String,
    #[serde(rename = "elapsed_seconds", with = "seconds")]
    #[schemars(with = "f64")]
    pub elapsed: Duration,
    pub verdict: Verdict,
    pub exit_code: u8,
    /// How many outcomes ended in each status.
    pub counts: BTreeMap<String, usize>,
    pub stages: Vec<StageReport>,
}

impl RunReport {
    pub const FORMAT_VERSION: u32 = 1;

    pub fn verdict_of(stages: &[StageReport], policy: Policy) -> (Verdict, u8) {
        let any = |status| stages.iter().any(|stage| stage.status == status || stage.outcomes.iter().any(|o| o.status == status));
        let verdict = if any(Status::Failed) {
            Verdict::Failed
        } else if any(Status::Broken) || stages.is_empty() {
            Verdict::Broken
        } else if any(Status::Warned) && policy.fail_on_warning {
            Verdict::Failed
        } else if any(Status::Warned) {
            Verdict::Warned
        } else {
            Verdict::Passed
        };
        (verdict, verdict.exit_code(policy))
    }

    pub fn count_outcomes(stages: &[StageReport]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for outcome in stages.iter().flat_map(|stage| &stage.outcomes) {
            *counts.entry(outcome.status.word().to_owned()).or_default() += 1;
        }
        counts
    }

    /// `12 passed, 2 warned`
    pub fn counts_line(&self) -> String {
        let order = [Status::Passed, Status::Warned, Status::Failed, Status::Broken, Status::Skipped];
        let parts: Vec<_> = order.iter().filter_map(|status| self.counts.get(status.word()).map(|n| format!("{n} {}", status.word()))).collect();
        if parts.is_empty() { "nothing was evaluated".into() } else { parts.join(", ") }
    }

    /// Outcomes a reader must see first.
    pub fn findings(&self) -> impl Iterator<Item = (&StageReport, &Outcome)> {
        self.stages.iter().flat_map(|stage| stage.outcomes.iter().filter(|o| o.status.needs_attention()).map(move |outcome| (stage, outcome)))
    }
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e6)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(statuses: &[Status]) -> Vec<StageReport> {
        statuses.iter().map(|status| StageReport { status: *status, ..StageReport::skipped("s", String::new()) }).collect()
    }

    #[test]
    fn the_exit_code_table() {
        use Status::{Broken, Failed, Passed, Skipped, Warned};
        let code = |statuses: &[Status]| RunReport::verdict_of(&stages(statuses), Policy::default()).1;
        assert_eq!(code(&[Passed, Warned, Skipped]), 0);
        assert_eq!(code(&[Passed, Failed]), 1);
        assert_eq!(code(&[Failed, Broken]), 1, "a gate that failed is a verdict; a retry would not help");
        assert_eq!(code(&[Passed, Broken]), 3);
        assert_eq!(code(&[]), 3, "nothing evaluated is not passed");
    }

    #[test]
    fn warnings_follow_the_policy() {
        let warned = stages(&[Status::Warned]);
        let fail = Policy { fail_on_warning: true, warn_exit_code: Some(10) };
        let ten = Policy { fail_on_warning: false, warn_exit_code: Some(10) };
        assert_eq!(RunReport::verdict_of(&warned, fail), (Verdict::Failed, 1));
        assert_eq!(RunReport::verdict_of(&warned, ten), (Verdict::Warned, 10));
    }

    #[test]
    fn a_stage_is_as_good_as_its_worst_outcome() {
        let outcomes = |all: &[Status]| all.iter().map(|s| Outcome::new("t", "c", *s, "")).collect::<Vec<_>>();
        use Status::{Broken, Failed, Passed, Skipped};
        assert_eq!(StageReport::worst(&outcomes(&[Passed, Broken, Failed])), Broken);
        assert_eq!(StageReport::worst(&outcomes(&[Passed, Skipped])), Passed);
        assert_eq!(StageReport::worst(&outcomes(&[Skipped])), Skipped);
    }
}
