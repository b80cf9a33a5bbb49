//! Gates over a model: each one file, registered once.

mod baseline;
mod beats;
mod champion;
mod drift;
mod fairness;
mod find;
mod latency;
mod overfit;
mod sanity;
mod schema;
mod size;
mod slices;
mod trained;

use std::sync::Mutex;

use serde::de::DeserializeOwned;

pub use self::champion::Elsewhere;
pub use self::find::{Cut, cuts, slices};
use super::metrics::Chosen;
use super::source::Source;
use super::table::Table;
use super::view::View;
use crate::catalogue::{Catalogue, Entry, Named};
use crate::outcome::{Outcome, Status};
use crate::picture::Picture;
use crate::ports::files::Workspace;

/// One gate over a model. The type is the settings, the name and the work.
pub trait Gate: Send + Sync {
    /// What contradicts itself or the predictions.
    fn mistake(&self, _: &Source) -> Option<String> {
        None
    }

    /// Columns that cut the rows into slices.
    fn labels(&self) -> Vec<String> {
        vec![]
    }

    /// Columns with numbers that a baseline learns from.
    fn features(&self) -> Vec<String> {
        vec![]
    }

    /// Further columns whose kinds are to be known.
    fn others(&self, _: &Source) -> Vec<String> {
        vec![]
    }

    /// Where the predictions of the champion are.
    fn champion(&self) -> Option<&Elsewhere> {
        None
    }

    /// Whether there may be no champion yet.
    fn may_be_missing(&self) -> bool {
        false
    }

    /// Allows predictions that are missing or not finite: they are its to judge.
    fn judges_unusable(&self) -> bool {
        false
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome>;
}

/// A model's predictions, and what they are compared with.
pub struct Judged<'a> {
    pub model: &'a str,
    pub source: &'a Source,
    pub test: &'a Table,
    /// All of its rows.
    pub view: &'a View<'a>,
    pub train: Option<&'a Table>,
    /// The slices of each column, for all gates: what is computed of one is computed once.
    pub cuts: &'a [(&'a str, Vec<Cut<'a>>)],
    /// Columns of the rows, and what they hold.
    pub kinds: &'a [(String, &'static str)],
    /// How long predictions took, in seconds, where that is known.
    pub seconds: &'a [f64],
    /// Each champion that a gate names; `Err` says why it cannot be compared with.
    pub champions: &'a [(Elsewhere, Result<Table, Missing>)],
    pub workspace: &'a Workspace,
    /// What a gate has to show.
    pub pictures: &'a Mutex<Vec<Picture>>,
}

/// Why there is no champion.
#[derive(Debug, Clone)]
pub enum Missing {
    /// There is no such file, and that is all right.
    NotYet(String),
    Unreadable(String),
}

impl Judged<'_> {
    /// The slices of a column.
    pub fn cuts(&self, column: &str) -> &[Cut<'_>] {
        self.cuts.iter().find(|(name, _)| *name == column).map(|(_, cuts)| cuts.as_slice()).unwrap_or_default()
    }

    pub fn outcome(&self, name: impl Into<String>, status: Status, message: impl Into<String>) -> Outcome {
        Outcome::new(self.model, name, status, message)
    }

    pub fn broken(&self, name: &str, why: impl Into<String>) -> Vec<Outcome> {
        vec![self.outcome(name, Status::Broken, why)]
    }

    pub fn show(&self, picture: Picture) {
        if let Ok(mut pictures) = self.pictures.lock() {
            pictures.push(picture);
        }
    }

    /// That champion, or the only one there is.
    pub fn champion(&self, place: Option<&Elsewhere>) -> Option<&Result<Table, Missing>> {
        let found = self.champions.iter().find(|(there, _)| place.is_none_or(|place| place == there));
        found.map(|(_, table)| table)
    }
}

/// What a gate says of itself, beyond its name.
pub trait GateType: Gate + Named + DeserializeOwned + 'static {}

fn entry<T: GateType>() -> Entry<dyn Gate> {
    Entry::new::<T>(|node, mistakes| Some(Box::new(node.decode::<T>(mistakes)?) as Box<dyn Gate>))
}

/// Every gate, in the order in which a reader should meet them.
pub fn catalogue() -> Catalogue<dyn Gate> {
    let entries = vec![
        entry::<schema::Schema>(),
        entry::<sanity::Sanity>(),
        entry::<overfit::Overfit>(),
        entry::<beats::Beats>(),
        entry::<champion::Champion>(),
        entry::<slices::Slices>(),
        entry::<fairness::Fairness>(),
        entry::<drift::Drift>(),
        entry::<latency::Latency>(),
        entry::<size::Size>(),
    ];
    Catalogue { family: "gate", entries }
}

/// Why a metric is not for these predictions.
fn misfit(metric: &Chosen, source: &Source) -> Option<String> {
    source.task().and_then(|task| metric.misfit(task, source.has_scores()))
}
