//! Model gates: predictions, the metrics of them, and what must hold.
//!
//! A metric is computed of a [`view::View`]: some rows of a [`table::Table`], each with its weight. Slices, groups and
//! resamples are views too, so each metric exists once. Held to scikit-learn by `fixtures/golden/quality.json`.

mod compare;
mod confusion;
mod curve;
mod gates;
mod metrics;
mod model;
mod pictures;
mod range;
mod schema;
mod score;
mod source;
mod sum;
mod table;
mod task;
mod view;

pub use self::gates::catalogue as gates;
pub use self::metrics::catalogue;
pub use self::model::{Gates, ModelGate, parse};
pub use self::schema::schema;
pub use self::score::digits;
pub use self::source::{Artifact, Batches, Place, Server};
use crate::ports::files::FileError;
use crate::ports::frame::FrameError;

#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}")]
    NotThere(String),
    #[error("{0}")]
    Wrong(String),
}

/// A number of rows to calculate with.
fn float(n: usize) -> f64 {
    crate::stats::float(n as u64)
}

#[cfg(test)]
mod golden;
