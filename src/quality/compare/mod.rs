//! Two models on the same rows: is the difference more than noise?

mod bootstrap;
mod delong;
mod join;

pub use self::bootstrap::{Plan, bootstrap};
pub use self::delong::delong;
pub use self::join::{Pair, aligned, join};

/// How much better the one is than the other, and between which bounds with the wanted confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}
