use async_trait::async_trait;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::forge::github;
use super::markdown::Page;
use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, Status, Verdict};
use crate::ports::ci::Host;
use crate::ports::github::ANNOTATIONS;

/// A check run on the commit, with every finding at its line; only on GitHub, and only with `report.check_run: true`.
///
/// It needs `checks: write`. The job's own check is the verdict: GitHub may show a run that `GITHUB_TOKEN` made below
/// another workflow.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct CheckRun {}

impl Named for CheckRun {
    const NAME: &'static str = "check_run";
}

/// Characters of a summary and of an annotation's message; GitHub takes 65,535 and 64 KB.
const LIMIT: usize = 60_000;
const MESSAGE: usize = 10_000;
/// Further annotations cost a request for every fifty of them.
const MOST: usize = 500;

#[async_trait]
impl Sink for CheckRun {
    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        if !to.check_run || to.only_told || to.ci.host != Host::GitHub {
            return Ok(None);
        }
        let Some(commit) = &to.ci.commit else { anyhow::bail!("the commit is not known") };
        let github = github(to.ci, &to.hosting).map_err(anyhow::Error::msg)?;
        let page = Page { marker: None, run_url: to.ci.run_url.as_deref(), passed: false, limit: LIMIT };
        let summary = page.render(report, to.templates)?;
        let all: Vec<Json> = report.findings().filter_map(|(_, outcome)| annotation(outcome)).take(MOST).collect();
        let mut parts = all.chunks(ANNOTATIONS);
        let output = |annotations: &[Json]| json!({"title": title(report), "summary": summary, "annotations": annotations});
        let mut run = json!({
            "name": name(report), "head_sha": commit, "status": "completed", "conclusion": conclusion(report.verdict),
            "output": output(parts.next().unwrap_or_default()),
        });
        if let Some(url) = &to.ci.run_url {
            run["details_url"] = json!(url);
        }
        let id = github.create_check_run(&run).await?;
        for more in parts {
            github.update_check_run(id, &json!({"output": output(more)})).await?;
        }
        Ok(Some(format!("check run with {} annotations", all.len())))
    }
}

pub(super) fn name(report: &RunReport) -> String {
    let of = report.environment.as_ref().map(|e| format!(" ({e})")).unwrap_or_default();
    format!("mlops {}{of}", report.project).chars().take(200).collect()
}

fn title(report: &RunReport) -> String {
    format!("{}: {}", report.verdict.word(), report.counts_line())
}

const fn conclusion(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "success",
        Verdict::Warned => "neutral",
        Verdict::Failed | Verdict::Broken => "failure",
    }
}

fn annotation(outcome: &Outcome) -> Option<Json> {
    let at = outcome.location.as_ref()?;
    let level = if outcome.status == Status::Warned { "warning" } else { "failure" };
    let short = |text: String, most: usize| text.chars().take(most).collect::<String>();
    Some(json!({
        "path": at.file, "start_line": at.line, "end_line": at.line, "annotation_level": level,
        "title": short(format!("{} {}", outcome.subject, outcome.name), 255), "message": short(outcome.told("\n→ "), MESSAGE),
    }))
}
