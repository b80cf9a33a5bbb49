use anyhow::bail;
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

/// GitHub takes 1 MiB a step and drops the whole above it.
const LIMIT: u64 = 1 << 20;
/// The longest character.
const BYTES: u64 = 4;
/// Characters below which a page says nothing.
const LEAST: u64 = 500;

#[async_trait]
impl Sink for Summary {
    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        let Some(file) = &to.ci.summary else { return Ok(None) };
        // What ran before in the same step has had its part.
        let taken = std::fs::metadata(file).map_or(0, |meta| meta.len());
        let left = LIMIT.saturating_sub(taken) / BYTES;
        if left < LEAST {
            bail!("the step has {taken} bytes of summary already, and GitHub drops what is above {LIMIT}");
        }
        let page = Page { marker: None, run_url: None, passed: true, limit: usize::try_from(left)? };
        files::append(file, &page.render(report, to.templates)?)?;
        Ok(Some("step summary".into()))
    }
}
