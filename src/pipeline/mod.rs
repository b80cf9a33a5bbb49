//! The course of a run: a plan of stages, walked by their needs.

mod execute;
mod merge;
mod plan;
mod schema;

pub use self::execute::{About, Watch, execute};
pub use self::merge::{Leg, merge};
pub use self::plan::{Plan, Planned, plan, sections};
pub use self::schema::{config_schema, report_schema};
