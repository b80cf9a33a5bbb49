use async_trait::async_trait;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::console::seconds;
use super::{Delivery, Sink, icon};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, StageReport, Status};
use crate::render::{RenderError, Templates};

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
        to.write(FILE, page.render(report, to.templates)?.as_bytes())
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

/// How much of each kind is shown.
#[derive(Clone, Copy)]
struct Shown {
    passed: usize,
    rows: usize,
    evidence: usize,
    findings: usize,
}

/// Of a long table the first rows.
const ROWS: usize = 30;
/// Findings whose evidence is shown.
const EVIDENCE: usize = 10;

impl Page<'_> {
    /// Whole rows are left out until the page fits, first those that say least; the head and the marker always stay.
    pub(super) fn render(&self, report: &RunReport, templates: &Templates) -> Result<String, RenderError> {
        let all: usize = report.stages.iter().map(|s| s.outcomes.len()).sum();
        let mut shown = Shown { passed: if self.passed { all } else { 0 }, rows: ROWS, evidence: EVIDENCE, findings: report.findings().count() };
        loop {
            let page = templates.render("report.md", &self.data(report, shown))?;
            if page.chars().count() <= self.limit {
                return Ok(page);
            }
            match [&mut shown.passed, &mut shown.rows, &mut shown.evidence, &mut shown.findings].into_iter().find(|n| **n > 0) {
                Some(most) => *most /= 2,
                None => return Ok(cut(&page, self.limit)),
            }
        }
    }

    fn data(&self, report: &RunReport, shown: Shown) -> Json {
        let row = |o: &Outcome| {
            let place = o.location.as_ref().map(ToString::to_string);
            json!({"icon": emoji(o.status), "subject": o.subject, "name": o.name, "message": o.message, "remedy": o.remedy, "place": place})
        };
        let mut findings: Vec<&Outcome> = report.findings().map(|(_, outcome)| outcome).collect();
        // Failures first: they are what a reader came for.
        findings.sort_by_key(|o| std::cmp::Reverse(o.status));
        let all_passed: Vec<&Outcome> = report.stages.iter().flat_map(|s| &s.outcomes).filter(|o| o.status == Status::Passed).collect();
        let evidence = |o: &&&Outcome| !o.evidence.is_empty() && matches!(o.status, Status::Failed | Status::Broken);
        json!({
            "marker": self.marker, "run_url": self.run_url,
            "icon": emoji(report.verdict.into()), "project": report.project, "verdict": report.verdict.word(),
            "counts": report.counts_line(), "elapsed": humantime(report.elapsed),
            "environment": report.environment, "commit": report.commit.as_ref().map(|c| c.chars().take(12).collect::<String>()),
            "findings": findings.iter().take(shown.findings).map(|o| row(o)).collect::<Vec<_>>(),
            "more": findings.len().saturating_sub(shown.findings),
            "evidence": findings.iter().filter(evidence).take(shown.evidence)
                .map(|o| json!({"icon": emoji(o.status), "subject": o.subject, "name": o.name, "lines": o.evidence})).collect::<Vec<_>>(),
            "tables": if shown.rows == 0 { vec![] } else { report.stages.iter().filter_map(|s| table(s, shown.rows)).collect() },
            "stages": report.stages.iter().map(stage).collect::<Vec<_>>(),
            "passed": all_passed.iter().take(shown.passed).map(|o| row(o)).collect::<Vec<_>>(), "passed_count": all_passed.len(),
        })
    }
}

fn stage(stage: &StageReport) -> Json {
    let time = seconds(stage).replace(' ', "&nbsp;");
    json!({"name": stage.name, "icon": emoji(stage.status), "status": stage.status.word(), "time": time, "summary": stage.summary})
}

fn table(stage: &StageReport, most: usize) -> Option<Json> {
    let table = stage.table.as_ref()?;
    let rule = vec!["---"; table.columns.len()].join("|");
    let rows = &table.rows[..table.rows.len().min(most)];
    Some(json!({
        "title": table.title, "icon": emoji(stage.status), "summary": stage.summary, "open": !stage.status.lets_on(),
        "columns": table.columns, "rule": rule, "rows": rows, "more": table.rows.len() - rows.len(),
    }))
}

/// A page of nothing but its head may be too long still: a name of a stage can be anything. What is cut ends with a line,
/// and what is open is closed.
fn cut(page: &str, limit: usize) -> String {
    const END: &str = "\n</details>\n\n… the rest is in `report.json`.\n";
    let fits: String = page.chars().take(limit.saturating_sub(END.len())).collect();
    let mut kept = fits.rsplit_once('\n').map_or("", |(lines, _)| lines).to_owned();
    let open = kept.matches("<details").count() > kept.matches("</details>").count();
    kept.push_str(if open { END } else { END.trim_start_matches("\n</details>") });
    kept
}

pub(super) fn humantime(elapsed: std::time::Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
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
        let page = PAGE.render(&report(), &Templates::default()).expect("page");
        assert!(page.starts_with("<!-- m -->\n## ❌ flights: failed\n"), "{page}");
        let broken = page.find("could not be evaluated: lost").expect("broken");
        let warned = page.find("are not in planes.tailnum").expect("warned");
        assert!(broken < warned, "{page}");
        assert!(page.contains("| ❌ | flights.carrier | in | 1 row &#124; has "), "{page}");
        assert!(page.contains("<b>Tables</b> ⛔ 4 checks on 1 table</summary>\n\n| table | rows |\n|---|---|\n| flights | 1 &#124; "), "{page}");
        assert!(!page.contains("<value>") && !page.contains("<2>") && page.contains("| register | –&nbsp;skipped |  | check broken |"), "{page}");
        assert!(page.contains("<br>→ accept it or mend the data<br><sub>mlops.yml:12</sub> |"), "{page}");
    }

    #[test]
    fn a_page_that_is_too_long_loses_rows_and_says_so() {
        let page = Page { limit: 900, ..PAGE };
        let mut long = report();
        let row = long.stages[0].outcomes[2].clone();
        long.stages[0].outcomes.extend(vec![row; 300]);
        let text = page.render(&long, &Templates::default()).expect("page");
        assert!(text.chars().count() <= 900 && text.starts_with("<!-- m -->") && text.contains("more findings"), "{text}");
    }

    #[test]
    fn a_page_fits_to_the_character_whatever_is_in_it() {
        let mut long = report();
        long.stages[0].summary = "ü🙂".repeat(400);
        long.stages[0].table.as_mut().expect("table").rows = vec![vec!["x".repeat(50), "y".repeat(50)]; 500];
        for outcome in &mut long.stages[0].outcomes {
            outcome.evidence = vec!["🙂".repeat(300); 5];
        }
        for limit in (300..6000).step_by(97) {
            let text = Page { limit, ..PAGE }.render(&long, &Templates::default()).expect("page");
            assert!(text.chars().count() <= limit && text.starts_with("<!-- m -->\n## ❌"), "{limit}: {}", text.chars().count());
            assert_eq!(text.matches("<details").count(), text.matches("</details>").count(), "{limit}: {text}");
        }
    }

    #[test]
    fn a_run_of_nothing_is_a_page_too() {
        assert!(PAGE.render(&empty(), &Templates::default()).expect("page").contains("nothing was evaluated"));
    }
}
