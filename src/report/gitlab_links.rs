use async_trait::async_trait;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::RunReport;
use crate::ports::ci::Host;

/// `gl-annotations.json`: links beside a job of GitLab, to the report and to what was written.
///
/// It takes `report.dir` among the `artifacts: paths`, as the template has it.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct GitlabLinks {}

impl Named for GitlabLinks {
    const NAME: &'static str = "gitlab_links";
}

const FILE: &str = "gl-annotations.json";
/// Links a job at the most.
const LINKS: usize = 20;

#[async_trait]
impl Sink for GitlabLinks {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        let (Host::GitLab, Some(job)) = (to.ci.host, &to.ci.run_url) else { return Ok(None) };
        to.write(FILE, format!("{:#}\n", render(report, job, &to.workspace.shown(to.dir))).as_bytes())
    }
}

/// <https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsannotations>
fn render(report: &RunReport, job: &str, dir: &str) -> Json {
    let artifact = |label: &str, path: &str| json!({"external_link": {"label": label, "url": format!("{job}/artifacts/file/{path}")}});
    let mut links = vec![artifact("report", &format!("{dir}/report.html")), artifact("report.json", &format!("{dir}/report.json"))];
    let written = report.stages.iter().flat_map(|stage| &stage.artifacts).filter_map(|path| path.strip_prefix(dir).map(|rest| (rest, path)));
    links.extend(written.map(|(rest, path)| artifact(rest.trim_start_matches('/'), path)));
    links.truncate(LINKS);
    json!({"mlops": links})
}

#[cfg(test)]
mod tests {
    use super::super::test_support::report;
    use super::*;

    #[test]
    fn there_are_twenty_links_at_the_most_and_only_to_what_the_job_keeps() {
        let mut report = report();
        report.stages[0].artifacts = (0..40).map(|i| format!("mlops-out/deploy/{i}.yaml")).chain(["data/x.parquet".to_owned()]).collect();
        let links = render(&report, "https://gitlab.example/g/p/-/jobs/7", "mlops-out");
        let links = links["mlops"].as_array().expect("links");
        assert_eq!(links.len(), LINKS);
        assert_eq!(links[0]["external_link"]["url"], "https://gitlab.example/g/p/-/jobs/7/artifacts/file/mlops-out/report.html");
        assert_eq!(links[2]["external_link"]["label"], "deploy/0.yaml");
    }
}
