use async_trait::async_trait;
use schemars::JsonSchema;

use super::markdown::Page;
use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::RunReport;
use crate::ports::files;

/// The step summary of a GitHub job.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Summary {}

impl Named for Summary {
    const NAME: &'static str = "summary";
}

/// GitHub takes 1 MiB a step and drops the whole above it; four bytes is the longest character.
const LIMIT: usize = 250_000;

#[async_trait]
impl Sink for Summary {
    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        let Some(file) = &to.ci.summary else { return Ok(None) };
        let page = Page { marker: None, run_url: None, passed: true, limit: LIMIT };
        files::append(file, &page.render(report)?)?;
        Ok(Some("step summary".into()))
    }
}
