use async_trait::async_trait;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::{Delivery, Sink, icon};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, Status, Table, Verdict};
use crate::render::{RenderError, render};

/// `report.md`: the page a reader sees, also as step summary and comment.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Markdown {}

impl Named for Markdown {
    const NAME: &'static str = "markdown";
}

const FILE: &str = "report.md";

#[async_trait]
impl Sink for Markdown {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        let page = Page { marker: None, run_url: to.ci.run_url.as_deref(), passed: true, limit: 1_000_000 };
        to.write(FILE, page.render(report)?.as_bytes())
    }
}

/// One page, for one place.
pub(super) struct Page<'a> {
    /// The first line, by which a comment is found again.
    pub(super) marker: Option<&'a str>,
    pub(super) run_url: Option<&'a str>,
    /// Whether what passed is listed too.
    pub(super) passed: bool,
    /// Characters at the most.
    pub(super) limit: usize,
}

impl Page<'_> {
    /// Whole rows are left out until the page fits; the head and the marker always stay.
    pub(super) fn render(&self, report: &RunReport) -> Result<String, RenderError> {
        let mut rows = report.findings().count();
        let mut passed = if self.passed { report.stages.iter().map(|s| s.outcomes.len()).sum() } else { 0 };
        loop {
            let page = render("report.md", &self.data(report, rows, passed))?;
            if page.chars().count() <= self.limit || (rows == 0 && passed == 0) {
                return Ok(page);
            }
            if passed > 0 {
                passed /= 2;
            } else {
                rows /= 2;
            }
        }
    }

    fn data(&self, report: &RunReport, rows: usize, passed: usize) -> Json {
        let row = |o: &Outcome| json!({"icon": emoji(o.status), "subject": o.subject, "name": o.name, "message": o.message});
        let mut findings: Vec<&Outcome> = report.findings().map(|(_, outcome)| outcome).collect();
        // Failures first: they are what a reader came for.
        findings.sort_by_key(|o| std::cmp::Reverse(o.status));
        let all_passed: Vec<&Outcome> = report.stages.iter().flat_map(|s| &s.outcomes).filter(|o| o.status == Status::Passed).collect();
        let stages: Vec<Json> =
            report.stages.iter().map(|s| json!({"name": s.name, "icon": emoji(s.status), "status": s.status.word(), "summary": s.summary})).collect();
        let tables: Vec<Json> = report.stages.iter().filter_map(|s| s.table.as_ref()).map(shown).collect();
        json!({
            "tables": tables,
            "marker": self.marker, "run_url": self.run_url,
            "icon": verdict_emoji(report.verdict), "project": report.project, "verdict": report.verdict.word(),
            "counts": report.counts_line(), "elapsed": humantime(report.elapsed),
            "environment": report.environment, "commit": report.commit.as_ref().map(|c| c.chars().take(12).collect::<String>()),
            "findings": findings.iter().take(rows).map(|o| row(o)).collect::<Vec<_>>(),
            "more": findings.len().saturating_sub(rows),
            "stages": stages,
            "passed": all_passed.iter().take(passed).map(|o| row(o)).collect::<Vec<_>>(), "passed_count": all_passed.len(),
        })
    }
}

/// Of a long table the first rows.
fn shown(table: &Table) -> Json {
    const ROWS: usize = 30;
    let rule = vec!["---"; table.columns.len()].join("|");
    let rows = &table.rows[..table.rows.len().min(ROWS)];
    json!({"title": table.title, "columns": table.columns, "rule": rule, "rows": rows, "more": table.rows.len() - rows.len()})
}

pub(super) fn humantime(elapsed: std::time::Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

const fn verdict_emoji(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✅",
        Verdict::Warned => "⚠️",
        Verdict::Failed => "❌",
        Verdict::Broken => "⛔",
    }
}

fn emoji(status: Status) -> &'static str {
    match status {
        Status::Passed => "✅",
        Status::Warned => "⚠️",
        Status::Failed => "❌",
        Status::Broken => "⛔",
        Status::Skipped => icon(Status::Skipped),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{empty, report};
    use super::*;

    const PAGE: Page<'_> = Page { marker: Some("<!-- m -->"), run_url: None, passed: true, limit: 65_000 };

    #[test]
    fn the_page_shows_failures_first_and_keeps_foreign_text_in_its_cell() {
        let page = PAGE.render(&report()).expect("page");
        assert!(page.starts_with("<!-- m -->\n## ❌ flights: failed\n"), "{page}");
        let broken = page.find("could not be evaluated: lost").expect("broken");
        let warned = page.find("are not in planes.tailnum").expect("warned");
        assert!(broken < warned, "{page}");
        assert!(page.contains("| ❌ | flights.carrier | in | 1 row \\| has "), "{page}");
        assert!(page.contains("**Tables**\n\n| table | rows |\n|---|---|\n| flights | 1 \\| "), "{page}");
        assert!(!page.contains("<value>") && !page.contains("<2>") && page.contains("| register | – skipped | check broken |"), "{page}");
    }

    #[test]
    fn a_page_that_is_too_long_loses_rows_and_says_so() {
        let page = Page { limit: 900, ..PAGE };
        let mut long = report();
        let row = long.stages[0].outcomes[2].clone();
        long.stages[0].outcomes.extend(vec![row; 300]);
        let text = page.render(&long).expect("page");
        assert!(text.chars().count() <= 900 && text.starts_with("<!-- m -->") && text.contains("more findings"), "{text}");
    }

    #[test]
    fn a_run_of_nothing_is_a_page_too() {
        assert!(PAGE.render(&empty()).expect("page").contains("nothing was evaluated"));
    }
}
