use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::{RunReport, Status};
use crate::ports::files::sha256;

/// `gl-code-quality-report.json`: what needs attention at its line, for GitLab's code quality widget.
///
/// A finding keeps its fingerprint when its line moves or its numbers change.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct CodeQuality {}

impl Named for CodeQuality {
    const NAME: &'static str = "code_quality";
}

const FILE: &str = "gl-code-quality-report.json";

#[async_trait]
impl Sink for CodeQuality {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        to.write(FILE, format!("{:#}\n", render(report)).as_bytes())
    }
}

/// <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>
fn render(report: &RunReport) -> Json {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let issues = report.findings().filter_map(|(stage, outcome)| {
        let at = outcome.location.as_ref()?;
        let check = format!("{}/{}", stage.name, outcome.name);
        let path = at.file.trim_start_matches("./");
        let who = format!("{path} {check} {}", outcome.subject);
        // Of two with one fingerprint GitLab shows one.
        let nth = seen.entry(who.clone()).or_default();
        *nth += 1;
        let severity = match outcome.status {
            Status::Warned => "minor",
            Status::Broken => "critical",
            _ => "major",
        };
        Some(json!({
            "description": format!("{}: {}", outcome.subject, outcome.message),
            "check_name": check, "fingerprint": sha256(format!("{who} {nth}").as_bytes()), "severity": severity,
            "location": {"path": path, "lines": {"begin": at.line.max(1)}},
        }))
    });
    Json::Array(issues.collect())
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{empty, report};
    use super::*;

    #[test]
    fn a_fingerprint_outlives_numbers_and_lines_and_is_nobody_elses() {
        let mut twice = report();
        let again = twice.stages[0].outcomes[1].clone();
        twice.stages[0].outcomes.push(again);
        let first = render(&twice);
        let fingerprints: Vec<&str> = first.as_array().expect("array").iter().map(|i| i["fingerprint"].as_str().expect("text")).collect();
        assert_eq!(fingerprints.len(), 3);
        assert!(fingerprints.iter().all(|f| fingerprints.iter().filter(|g| g == &f).count() == 1), "{fingerprints:?}");
        for outcome in &mut twice.stages[0].outcomes {
            outcome.message.push_str(" other");
            outcome.location.iter_mut().for_each(|l| l.line += 5);
        }
        let second = render(&twice);
        assert_eq!(second[0]["fingerprint"], first[0]["fingerprint"]);
        assert_eq!(second[0]["location"], json!({"path": "mlops.yml", "lines": {"begin": 17}}));
        assert_eq!((&first[0]["severity"], &first[1]["severity"]), (&json!("minor"), &json!("major")));
    }

    #[test]
    fn nothing_found_is_an_empty_array() {
        assert_eq!(render(&empty()), json!([]));
    }
}
