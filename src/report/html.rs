use async_trait::async_trait;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::draw::svg;
use super::markdown::humantime;
use super::{Delivery, Sink, icon};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, StageReport};
use crate::render::render;

/// `report.html`: one page with the pictures, for a browser; it loads nothing.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Html {}

impl Named for Html {
    const NAME: &'static str = "html";
}

const FILE: &str = "report.html";

#[async_trait]
impl Sink for Html {
    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        to.write(FILE, page(report)?.as_bytes())
    }
}

fn page(report: &RunReport) -> anyhow::Result<String> {
    Ok(render(
        "report.html",
        &json!({
            "project": report.project, "verdict": report.verdict.word(), "counts": report.counts_line(), "elapsed": humantime(report.elapsed),
            "started": report.started_at, "environment": report.environment, "commit": report.commit, "database": report.database,
            "stages": report.stages.iter().map(stage).collect::<Vec<_>>(),
        }),
    )?)
}

fn stage(stage: &StageReport) -> Json {
    let row = |o: &Outcome| {
        let place = o.location.as_ref().map(|l| format!("{}:{}", l.file, l.line));
        json!({
            "status": o.status.word(), "icon": icon(o.status), "subject": o.subject, "name": o.name, "message": o.message,
            "remedy": o.remedy, "evidence": o.evidence, "place": place,
        })
    };
    let mut outcomes: Vec<&Outcome> = stage.outcomes.iter().collect();
    // Failures first: they are what a reader came for.
    outcomes.sort_by_key(|o| std::cmp::Reverse(o.status));
    json!({
        "name": stage.name, "status": stage.status.word(), "icon": icon(stage.status), "summary": stage.summary,
        "outcomes": outcomes.into_iter().map(row).collect::<Vec<_>>(),
        "table": stage.table,
        "pictures": stage.pictures.iter().map(|p| json!({"title": p.title, "about": p.about, "svg": svg(p)})).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_support::report;
    use super::*;
    use crate::picture::{Picture, Shape};

    #[test]
    fn the_page_has_everything_loads_nothing_and_escapes() {
        let mut report = report();
        report.project = "<script>alert(1)</script>".into();
        let bars = Shape::Bars { value: "recall".into(), bars: vec![], reference: Some(0.5) };
        report.stages[0].pictures.push(Picture { title: "a & b".into(), about: "\"quoted\"".into(), shape: bars });
        let page = page(&report).expect("page");
        assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
        assert!(page.contains("aria-label=\"&quot;quoted&quot;\"") && page.contains("<svg"), "{page}");
        assert!(!page.contains("src=") && !page.contains("href=\"http"), "{page}");
        for outcome in report.stages.iter().flat_map(|s| &s.outcomes) {
            assert!(page.contains(&outcome.subject), "{} is missing", outcome.subject);
        }
    }
}
