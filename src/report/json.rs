use async_trait::async_trait;
use schemars::JsonSchema;

use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::RunReport;

/// `report.json`: the whole run, in a versioned format with a published JSON Schema.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Json {}

impl Named for Json {
    const NAME: &'static str = "json";
}

const FILE: &str = "report.json";

#[async_trait]
impl Sink for Json {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        let text = serde_json::to_string_pretty(report)? + "\n";
        to.write(FILE, text.as_bytes())
    }
}
