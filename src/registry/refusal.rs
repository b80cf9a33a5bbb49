//! Why something may not be done: a word for machines, a sentence for people, and the way out.

use std::fmt;
use std::str::FromStr;

use enum_iterator::{Sequence, all};
use serde::Serialize;

use crate::mistakes::suggestion;

/// The words of `--allow` and of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Sequence)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    GatesFailed,
    GatesNotEvaluated,
    GatesWarned,
    Quarantined,
    Deprecated,
    Rejected,
    ApprovalMissing,
    StageBeforeMissing,
    SoakTime,
    BranchNotAllowed,
    OlderThanActive,
    RolledBack,
    ExpectationFailed,
    ArtifactMissing,
    ArtifactChanged,
    DataMissing,
    SchemaChanged,
    NothingToRollBackTo,
    NeverDeployed,
}

impl Reason {
    /// Nobody may wave these through.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::ExpectationFailed | Self::ArtifactChanged | Self::NothingToRollBackTo | Self::NeverDeployed)
    }

    /// Time or people can change it; nothing is wrong with the version.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::ApprovalMissing | Self::StageBeforeMissing | Self::SoakTime | Self::OlderThanActive | Self::BranchNotAllowed)
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::GatesFailed => "gates_failed",
            Self::GatesNotEvaluated => "gates_not_evaluated",
            Self::GatesWarned => "gates_warned",
            Self::Quarantined => "quarantined",
            Self::Deprecated => "deprecated",
            Self::Rejected => "rejected",
            Self::ApprovalMissing => "approval_missing",
            Self::StageBeforeMissing => "stage_before_missing",
            Self::SoakTime => "soak_time",
            Self::BranchNotAllowed => "branch_not_allowed",
            Self::OlderThanActive => "older_than_active",
            Self::RolledBack => "rolled_back",
            Self::ExpectationFailed => "expectation_failed",
            Self::ArtifactMissing => "artifact_missing",
            Self::ArtifactChanged => "artifact_changed",
            Self::DataMissing => "data_missing",
            Self::SchemaChanged => "schema_changed",
            Self::NothingToRollBackTo => "nothing_to_roll_back_to",
            Self::NeverDeployed => "never_deployed",
        }
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if all::<Self>().any(|reason| reason.word() == text && reason.is_final()) {
            return Err(format!("`{text}` cannot be allowed"));
        }
        let known: Vec<&str> = all::<Self>().filter(|reason| !reason.is_final()).map(Self::word).collect();
        all::<Self>()
            .find(|reason| reason.word() == text && !reason.is_final())
            .ok_or_else(|| format!("there is no `{text}`; {}", suggestion(text, known, "words")))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub reason: Reason,
    pub message: String,
    pub remedy: Option<String>,
}

impl Refusal {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), remedy: None }
    }

    #[must_use]
    pub fn but(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Everything that stands in the way, at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusals(pub Vec<Refusal>);

impl Refusals {
    /// Without those that are allowed; what is final stays.
    pub fn except(self, allowed: &[Reason]) -> Self {
        Self(self.0.into_iter().filter(|r| r.reason.is_final() || !allowed.contains(&r.reason)).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, refusal) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { "\n" };
            write!(f, "{gap}{} ({})", refusal.message, refusal.reason.word())?;
            if let Some(remedy) = &refusal.remedy {
                write!(f, "\n    → {remedy}")?;
            }
        }
        Ok(())
    }
}
