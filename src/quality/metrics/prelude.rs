//! What every metric's file needs.

pub use super::{Metric, MetricType, Term};
pub use crate::catalogue::Named;
pub use crate::quality::confusion::{Average, Confusion};
pub use crate::quality::range::Range;
pub use crate::quality::score::Score;
pub use crate::quality::table::{Data, Table};
pub use crate::quality::task::{CLASSES, Task};
pub use crate::quality::view::View;

/// What a metric says of a table that it is not for.
pub fn not_for_it() -> Score {
    Score::undefined("it is not for predictions of this kind")
}
