use async_trait::async_trait;
use schemars::JsonSchema;

use super::check_run::name;
use super::forge::{Status, connect};
use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::{RunReport, Status as Outcome};
use crate::ports::ci::Host;

/// The commit's status on GitHub or GitLab, only with `report.commit_status: true`.
///
/// It needs `statuses: write`, on GitLab a token with the scope `api`. The job's own result says the same.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct CommitStatus {}

impl Named for CommitStatus {
    const NAME: &'static str = "commit_status";
}

/// Characters of a description.
const DESCRIPTION: usize = 140;

#[async_trait]
impl Sink for CommitStatus {
    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        if !to.commit_status || to.only_told || to.ci.host == Host::Local {
            return Ok(None);
        }
        let Some(commit) = &to.ci.commit else { anyhow::bail!("the commit is not known") };
        let description: String = format!("{}: {}", report.verdict.word(), report.counts_line()).chars().take(DESCRIPTION).collect();
        let passed = Outcome::from(report.verdict).lets_on();
        let status = Status { passed, context: &name(report), description: &description, url: to.ci.run_url.as_deref() };
        connect(to.ci, &to.hosting).map_err(anyhow::Error::msg)?.set_status(commit, &status).await?;
        Ok(Some("commit status".into()))
    }
}
