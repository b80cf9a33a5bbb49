use async_trait::async_trait;
use schemars::JsonSchema;

use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::{RunReport, Status};
use crate::ports::ci::Host;
use crate::ports::files;

/// What the next step reads: the outputs of the GitHub action, and `outputs.env` as GitLab's dotenv report.
///
/// Values are short words, numbers and paths: GitHub drops an output in which it sees a secret.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Outputs {}

impl Named for Outputs {
    const NAME: &'static str = "outputs";
}

const FILE: &str = "outputs.env";

#[async_trait]
impl Sink for Outputs {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        // As the next step knows the path: from the repository, not from the folder of mlops.yml.
        let values = values(report, &to.workspace.shown(to.dir));
        let written = to.write(FILE, values.iter().map(dotenv).collect::<String>().as_bytes())?;
        if let (Host::GitHub, Some(file)) = (to.ci.host, &to.ci.outputs) {
            files::append(file, &values.iter().map(|(key, value)| output(key, value, random)).collect::<String>())?;
        }
        Ok(written)
    }
}

/// A line of GitLab's dotenv report, which knows neither quotes nor a second line.
fn dotenv((key, value): &(&str, String)) -> String {
    let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("MLOPS_{}={value}\n", key.to_uppercase().replace('-', "_"))
}

/// A line of `GITHUB_OUTPUT`; of more than one line, the delimiter is one that the value does not hold.
fn output(key: &str, value: &str, mut random: impl FnMut() -> String) -> String {
    if !value.contains(['\n', '\r']) {
        return format!("{key}={value}\n");
    }
    let mut delimiter = random();
    while value.contains(&delimiter) {
        delimiter = random();
    }
    format!("{key}<<{delimiter}\n{value}\n{delimiter}\n")
}

fn random() -> String {
    format!("mlops_{}", uuid::Uuid::now_v7().simple())
}

/// The names are the outputs of `action.yml`.
pub(super) fn values(report: &RunReport, dir: &str) -> Vec<(&'static str, String)> {
    let output = |name: &str| report.stages.iter().find_map(|stage| stage.outputs.get(name)).cloned().unwrap_or_default();
    let count = |word: &str| report.counts.get(word).copied().unwrap_or(0).to_string();
    vec![
        ("verdict", Status::from(report.verdict).word().into()),
        ("passed", count("passed")),
        ("warned", count("warned")),
        ("failed", count("failed")),
        ("broken", count("broken")),
        ("skipped", count("skipped")),
        ("report", format!("{dir}/report.json")),
        ("junit", format!("{dir}/junit.xml")),
        ("model-version", output("model-version")),
        ("stage", output("stage")),
        ("previous-version", output("previous-version")),
        (
            "manifests",
            if report.stages.iter().any(|s| s.name == "manifests" && !s.artifacts.is_empty()) { format!("{dir}/deploy") } else { String::new() },
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::test_support::report;
    use super::*;

    #[test]
    fn values_fit_one_line_and_gitlabs_limits() {
        let values = values(&report(), "mlops-out");
        assert!(values.len() <= 20 && values.iter().all(|(_, value)| !value.contains(['\n', '\r'])));
        assert_eq!(values[0], ("verdict", "failed".to_owned()));
        // GitLab takes 5 KB.
        let long = values.iter().map(|(key, value)| dotenv(&(key, format!("{value}{}", "x".repeat(200))))).collect::<String>();
        assert!(long.len() < 5 << 10, "{}", long.len());
    }

    #[test]
    fn a_value_cannot_end_itself_or_begin_another() {
        let mut drawn = ["EOF".to_owned(), "X".to_owned(), "fine".to_owned()].into_iter();
        let text = output("stage", "a\nEOF\nverdict=passed\nX", || drawn.next().expect("a third"));
        assert_eq!(text, "stage<<fine\na\nEOF\nverdict=passed\nX\nfine\n");
        assert_eq!(output("stage", "a=b<<c", random), "stage=a=b<<c\n");
        assert_eq!(dotenv(&("model-version", "1\r\nMLOPS_VERDICT=passed".into())), "MLOPS_MODEL_VERSION=1  MLOPS_VERDICT=passed\n");
    }
}
