use async_trait::async_trait;
use schemars::JsonSchema;

use super::{Delivery, Sink, print};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, Status};
use crate::ports::ci::Host;
use crate::runner;

/// Errors and warnings at their line of `mlops.yml` or of a migration, in the diff of a GitHub pull request.
///
/// GitHub keeps ten of each level a step; the last one says how many more there are.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Annotations {}

impl Named for Annotations {
    const NAME: &'static str = "annotations";
}

const KEPT: usize = 10;

#[async_trait]
impl Sink for Annotations {
    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        if to.ci.host != Host::GitHub || to.json_only {
            return Ok(None);
        }
        let text = render(report);
        print(&text)?;
        Ok((!text.is_empty()).then(|| format!("{} annotations", text.lines().count())))
    }
}

fn render(report: &RunReport) -> String {
    let mut text = String::new();
    for (command, statuses) in [("error", &[Status::Failed, Status::Broken][..]), ("warning", &[Status::Warned][..])] {
        let all: Vec<&Outcome> = report.findings().map(|(_, o)| o).filter(|o| statuses.contains(&o.status)).collect();
        let shown = if all.len() > KEPT { KEPT - 1 } else { all.len() };
        all[..shown].iter().for_each(|outcome| text.push_str(&annotation(command, outcome)));
        if all.len() > shown {
            text.push_str(&runner::annotation(command, None, "mlops", &format!("+{} more, see the step summary", all.len() - shown)));
        }
    }
    text
}

fn annotation(level: &str, outcome: &Outcome) -> String {
    let place = outcome.location.as_ref().map(|l| (l.file.as_str(), l.line, l.column));
    runner::annotation(level, place, &format!("{} {}", outcome.subject, outcome.name), &outcome.told("\n→ "))
}

#[cfg(test)]
mod tests {
    use super::super::test_support::report;
    use super::*;

    #[test]
    fn foreign_text_stays_one_command() {
        let text = render(&report());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(
            lines[0],
            "::error file=mlops.yml,line=12,col=7,title=flights.carrier in::1 row | has ::error:: `another` <value>%0Ain it%0A→ accept it or mend the data"
        );
        assert!(lines[2].starts_with("::warning file=mlops.yml,line=12,col=7,title=flights.tailnum references::16%25"), "{text}");
    }

    #[test]
    fn the_tenth_says_how_many_more_there_are() {
        let mut report = report();
        let failed = report.stages[0].outcomes[2].clone();
        report.stages[0].outcomes.extend(vec![failed; 20]);
        let text = render(&report);
        assert_eq!(text.lines().filter(|l| l.starts_with("::error")).count(), 10);
        assert!(text.contains("+13 more"), "{text}");
    }
}
