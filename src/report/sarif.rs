use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, StageReport, Status};

/// `results.sarif`: what needs attention at its line, in the format of static analysis (SARIF 2.1.0).
///
/// GitHub's code scanning shows it after `github/codeql-action/upload-sarif`, editors open it as it is. Only outcomes with
/// a file and a line are in it.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Sarif {}

impl Named for Sarif {
    const NAME: &'static str = "sarif";
}

const FILE: &str = "results.sarif";

#[async_trait]
impl Sink for Sarif {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        to.write(FILE, format!("{:#}\n", render(report)).as_bytes())
    }
}

/// <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
fn render(report: &RunReport) -> Json {
    let found: Vec<(&StageReport, &Outcome)> = report.findings().filter(|(_, o)| o.location.is_some()).collect();
    let mut rules: BTreeMap<String, Option<&str>> = BTreeMap::new();
    for (stage, outcome) in &found {
        let help = rules.entry(rule(stage, outcome)).or_default();
        *help = help.or(outcome.remedy.as_deref());
    }
    let index: BTreeMap<&String, usize> = rules.keys().enumerate().map(|(i, id)| (id, i)).collect();
    let results: Vec<Json> = found.iter().map(|(stage, outcome)| result(outcome, &rule(stage, outcome), &index)).collect();
    let rules: Vec<Json> = rules
        .iter()
        .map(|(id, help)| {
            let mut rule = json!({"id": id, "shortDescription": {"text": id}});
            if let Some(help) = help {
                rule["help"] = json!({"text": help});
            }
            rule
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "mlops-action", "version": report.tool_version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            // Whether it could look, not what it found.
            "invocations": [{"executionSuccessful": !report.stages.iter().any(|s| s.status == Status::Broken)}],
            "results": results,
        }],
    })
}

/// `migrate/ban-drop-column`
fn rule(stage: &StageReport, outcome: &Outcome) -> String {
    format!("{}/{}", stage.name, outcome.name)
}

fn result(outcome: &Outcome, rule: &str, index: &BTreeMap<&String, usize>) -> Json {
    let level = if outcome.status == Status::Warned { "warning" } else { "error" };
    let mut result = json!({
        "ruleId": rule,
        "ruleIndex": index.get(&rule.to_owned()),
        "level": level,
        "message": {"text": outcome.told("; ")},
        // The same finding of another run, whatever line it has moved to.
        "partialFingerprints": {"mlopsFinding/v1": format!("{rule} {}", outcome.subject)},
    });
    if let Some(at) = &outcome.location {
        let region = json!({"startLine": at.line.max(1), "startColumn": at.column.max(1)});
        result["locations"] = json!([{"physicalLocation": {"artifactLocation": {"uri": uri(&at.file)}, "region": region}}]);
    }
    result
}

/// A path as a relative reference: <https://www.rfc-editor.org/rfc/rfc3986>.
fn uri(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&b);
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{empty, report};
    use super::*;

    #[test]
    fn what_needs_attention_is_there_with_its_place_and_remedy() {
        let text = render(&report()).to_string();
        // Read by types that were made from the published schema.
        let sarif: serde_sarif::sarif::Sarif = serde_json::from_str(&text).expect("SARIF");
        let run = &sarif.runs[0];
        let results = run.results.as_deref().expect("results");
        assert_eq!(results.iter().map(|r| r.rule_id.as_deref().expect("rule")).collect::<Vec<_>>(), ["check/references", "check/in"]);
        let rules = run.tool.driver.rules.as_deref().expect("rules");
        for result in results {
            let at = usize::try_from(result.rule_index.expect("index")).expect("index");
            assert_eq!(Some(rules[at].id.as_str()), result.rule_id.as_deref());
        }
        let place = results[1].locations.as_ref().expect("locations")[0].physical_location.as_ref().expect("place");
        let region = place.region.as_ref().expect("region");
        assert_eq!((region.start_line, region.start_column), (Some(12), Some(7)));
        assert!(results[1].message.text.as_deref().expect("text").ends_with("; accept it or mend the data"), "{text}");
    }

    #[test]
    fn a_run_of_nothing_has_no_result_and_names_are_no_links() {
        let sarif: serde_sarif::sarif::Sarif = serde_json::from_value(render(&empty())).expect("SARIF");
        assert_eq!(sarif.runs[0].results.as_deref().map(<[_]>::len), Some(0));
        assert_eq!(uri("db/a b%ä:c.sql"), "db/a%20b%25%C3%A4%3Ac.sql");
    }
}
