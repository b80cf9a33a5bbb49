use std::collections::BTreeMap;

use async_trait::async_trait;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use schemars::JsonSchema;

use super::{Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, StageReport, Status};

/// `junit.xml`: every outcome as a test case, for the test views of GitHub and GitLab.
///
/// Failed becomes a failure, broken an error. `classname` and `name` together are unique, and the text stands in the
/// element: GitLab drops duplicates and shows nothing else.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Junit {}

impl Named for Junit {
    const NAME: &'static str = "junit";
}

const FILE: &str = "junit.xml";

#[async_trait]
impl Sink for Junit {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        to.write(FILE, render(report)?.as_bytes())
    }
}

fn render(report: &RunReport) -> anyhow::Result<String> {
    let mut junit = Report::new(format!("mlops {}", clean(&report.project)));
    junit.set_time(report.elapsed);
    let mut seen = BTreeMap::new();
    for stage in &report.stages {
        let mut suite = TestSuite::new(clean(&stage.name));
        suite.set_time(stage.elapsed);
        suite.add_test_cases(stage.outcomes.iter().map(|outcome| case(stage, outcome, &mut seen)));
        junit.add_test_suite(suite);
    }
    Ok(junit.to_string()?)
}

fn case(stage: &StageReport, outcome: &Outcome, seen: &mut BTreeMap<(String, String), usize>) -> TestCase {
    let class = clean(&format!("{}.{}", stage.name, outcome.subject));
    let times = seen.entry((class.clone(), outcome.name.clone())).or_default();
    *times += 1;
    let name = clean(&if *times == 1 { outcome.name.clone() } else { format!("{} #{times}", outcome.name) });
    let outcome = &allowed(outcome);
    let text = std::iter::once(&outcome.message).chain(&outcome.remedy).chain(&outcome.evidence).cloned().collect::<Vec<_>>().join("\n");
    let mut status = match outcome.status {
        Status::Passed | Status::Warned => TestCaseStatus::success(),
        Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Broken => TestCaseStatus::non_success(NonSuccessKind::Error),
        Status::Skipped => TestCaseStatus::skipped(),
    };
    if outcome.status != Status::Passed && outcome.status != Status::Warned {
        status.set_message(outcome.message.clone()).set_type(outcome.name.clone()).set_description(text.clone());
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(class).set_time(outcome.elapsed);
    if outcome.status == Status::Warned {
        case.set_system_out(format!("warning: {text}"));
    }
    if let Some(location) = &outcome.location {
        case.extra.insert("file".into(), clean(&location.file).into());
        case.extra.insert("line".into(), location.line.to_string().into());
    }
    case
}

fn clean(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// quick-junit takes control characters out; XML 1.0 forbids two more.
fn allowed(outcome: &Outcome) -> Outcome {
    let clean = |text: &String| clean(text);
    Outcome {
        subject: clean(&outcome.subject),
        name: clean(&outcome.name),
        message: clean(&outcome.message),
        remedy: outcome.remedy.as_ref().map(clean),
        evidence: outcome.evidence.iter().map(clean).collect(),
        ..outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::report;
    use super::*;

    #[test]
    fn every_outcome_is_a_case_with_a_name_of_its_own_and_its_text_inside() {
        let xml = render(&report()).expect("xml");
        for expected in [
            "<testcase name=\"in\" classname=\"check.flights.carrier\"",
            "<testcase name=\"in #2\" classname=\"check.flights.carrier\"",
            "<failure message=\"1 row | has ::error:: `another` &lt;value&gt;",
            "<error message=\"could not be evaluated: lost\" type=\"in\">could not be evaluated: lost</error>",
            "tests=\"5\" skipped=\"1\" failures=\"1\" errors=\"1\"",
            "<skipped",
        ] {
            assert!(xml.contains(expected), "{expected} is not in\n{xml}");
        }
        assert!(!xml.contains(['\u{1b}', '\u{fffe}']), "an escape character makes XML unreadable");
    }
}
