use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use async_trait::async_trait;
use schemars::JsonSchema;

use super::markdown::humantime;
use super::{Delivery, Sink, icon, print};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, StageReport, Status, Verdict};
use crate::ports::ci::Host;
use crate::runner::harmless;

/// Standard output: every stage with what it found, failures last and in full; or the report as JSON.
///
/// On GitHub each stage is a group, on GitLab a collapsible section.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Console {}

impl Named for Console {
    const NAME: &'static str = "console";
}

#[async_trait]
impl Sink for Console {
    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        if to.json_only {
            print(&(serde_json::to_string_pretty(report)? + "\n"))?;
        } else {
            let text = Page { host: to.ci.host, colour: to.colour, quiet: to.quiet }.render(report);
            print(&text)?;
        }
        Ok(None)
    }
}

struct Page {
    host: Host,
    colour: bool,
    quiet: bool,
}

impl Page {
    fn render(&self, report: &RunReport) -> String {
        let mut text = String::new();
        let width = report.stages.iter().map(|s| s.name.len()).max().unwrap_or(0);
        for (i, stage) in report.stages.iter().enumerate() {
            let head = format!("{} {:width$}  {:>7}  {}", self.icon(stage.status), line(&stage.name), seconds(stage), line(&stage.summary));
            let body = self.body(stage);
            let _ = match self.host {
                _ if body.is_empty() => writeln!(text, "{head}"),
                Host::GitHub => write!(text, "::group::{head}\n{body}::endgroup::\n"),
                Host::GitLab => {
                    let name = format!("mlops_stage_{i}");
                    let (start, end) = (section("start", &name, "[collapsed=true]"), section("end", &name, ""));
                    write!(text, "{start}{head}\n{body}{end}\n")
                }
                Host::Local => write!(text, "{head}\n{body}"),
            };
        }
        if self.host != Host::Local {
            // Groups are folded: what matters stands below them, open.
            let findings: String = report.findings().map(|(_, o)| self.outcome(o, 0)).collect();
            text.push_str(&findings);
        }
        let verdict = self.paint(verdict_style(report.verdict), &format!("{}: {}", line(&report.project), report.verdict.word()));
        let _ = writeln!(text, "\n{verdict} ({} in {})", report.counts_line(), humantime(report.elapsed));
        text
    }

    fn body(&self, stage: &StageReport) -> String {
        let width = stage.outcomes.iter().filter(|o| self.shown(o)).map(|o| title(o).chars().count()).max().unwrap_or(0).min(44);
        stage.outcomes.iter().filter(|o| self.shown(o)).map(|o| self.outcome(o, width)).collect()
    }

    fn shown(&self, outcome: &Outcome) -> bool {
        outcome.status.needs_attention() || (!self.quiet && outcome.name != "stage")
    }

    fn outcome(&self, outcome: &Outcome, width: usize) -> String {
        let mut text = format!("  {} {:width$}  {}\n", self.icon(outcome.status), title(outcome), line(&outcome.message));
        if outcome.status.needs_attention() {
            if let Some(at) = &outcome.location {
                let _ = writeln!(text, "      {}", self.paint(dim(), &line(&format!("{}:{}:{}", at.file, at.line, at.column))));
            }
            if let Some(remedy) = &outcome.remedy {
                let _ = writeln!(text, "      → {}", line(remedy));
            }
            for evidence in &outcome.evidence {
                let _ = writeln!(text, "      {}", self.paint(dim(), &line(evidence)));
            }
        }
        text
    }

    fn icon(&self, status: Status) -> String {
        let colour = match status {
            Status::Passed => AnsiColor::Green,
            Status::Warned => AnsiColor::Yellow,
            Status::Failed | Status::Broken => AnsiColor::Red,
            Status::Skipped => AnsiColor::BrightBlack,
        };
        self.paint(colour.on_default(), icon(status))
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// GitLab's marks; the time is the run's, the viewer only shows differences.
fn section(which: &str, name: &str, options: &str) -> String {
    let now = chrono::Utc::now().timestamp();
    format!("\x1b[0Ksection_{which}:{now}:{name}{options}\r\x1b[0K")
}

fn title(outcome: &Outcome) -> String {
    format!("{}  {}", line(&outcome.subject), line(&outcome.name))
}

pub(super) fn seconds(stage: &StageReport) -> String {
    if stage.status == Status::Skipped { String::new() } else { format!("{:.2} s", stage.elapsed.as_secs_f64()) }
}

fn dim() -> Style {
    Style::new().dimmed()
}

const fn verdict_style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Passed => AnsiColor::Green,
        Verdict::Warned => AnsiColor::Yellow,
        Verdict::Failed | Verdict::Broken => AnsiColor::Red,
    };
    colour.on_default().bold()
}

/// Anybody's text on one line: no control character moves the cursor, no runner reads a command in it.
fn line(text: &str) -> String {
    harmless(&text.replace(['\n', '\t'], " ")).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::report;
    use super::*;

    #[test]
    fn every_stage_and_outcome_has_its_line() {
        let text = Page { host: Host::Local, colour: false, quiet: false }.render(&report());
        for expected in [
            "⊘ check      0.04 s  4 checks on 1 table",
            "  ✓ flights  rows                27,004 rows; must be at least 1000",
            "      mlops.yml:12:7",
            "– register           check broken",
            "flights: failed (1 passed, 1 warned, 1 failed, 1 broken, 1 skipped in 1.5 s)",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "a control character of the data reached the terminal");
    }

    #[test]
    fn quiet_shows_what_needs_attention() {
        let text = Page { host: Host::Local, colour: false, quiet: true }.render(&report());
        assert!(!text.contains("27,004") && text.contains("planes.tailnum"), "{text}");
    }

    #[test]
    fn groups_are_closed_and_findings_stand_outside_them() {
        let text = Page { host: Host::GitHub, colour: false, quiet: false }.render(&report());
        assert_eq!(text.matches("::group::").count(), text.matches("::endgroup::").count());
        let after = text.rsplit("::endgroup::").next().expect("tail");
        assert!(after.contains("another"), "{text}");
        let gitlab = Page { host: Host::GitLab, colour: false, quiet: false }.render(&report());
        assert_eq!(gitlab.matches("section_start:").count(), gitlab.matches("section_end:").count());
    }
}
