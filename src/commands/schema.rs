//! `mlops schema`: what editors and readers of report.json need.

use super::{Failure, Outcome, say};
use crate::cli::SchemaOf;
use crate::outcome::exit;
use crate::pipeline::{config_schema, report_schema};

pub(super) fn schema(of: SchemaOf) -> Outcome {
    let schema = match of {
        SchemaOf::Config => config_schema(),
        SchemaOf::Report => report_schema(),
    };
    say(&(serde_json::to_string_pretty(&schema).map_err(Failure::broken)? + "\n"));
    Ok(exit::PASSED)
}
