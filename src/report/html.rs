use async_trait::async_trait;
use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::console::seconds;
use super::draw::svg;
use super::markdown::humantime;
use super::{Delivery, Sink, icon};
use crate::catalogue::Named;
use crate::outcome::{Outcome, RunReport, StageReport, Status};
use crate::picture::{Bar, Interval, Line, Picture, Shape};
use crate::render::Templates;

/// `report.html`: one page with the pictures, for a browser; it loads nothing and runs nothing.
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
        to.write(FILE, page(report, to.templates)?.as_bytes())
    }
}

fn page(report: &RunReport, templates: &Templates) -> anyhow::Result<String> {
    let status = Status::from(report.verdict);
    Ok(templates.render(
        "report.html",
        &json!({
            "project": report.project, "verdict": report.verdict.word(), "counts": report.counts_line(), "elapsed": humantime(report.elapsed),
            "started": report.started_at, "environment": report.environment, "commit": report.commit, "database": report.database,
            "version": report.tool_version, "status": status.word(), "icon": icon(status),
            "stages": report.stages.iter().enumerate().map(|(i, s)| stage(i, s)).collect::<Vec<_>>(),
            "pictures": overview(report).iter().map(figure).collect::<Vec<_>>(),
        }),
    )?)
}

fn stage(nth: usize, stage: &StageReport) -> Json {
    let row = |o: &&Outcome| {
        let place = o.location.as_ref().map(ToString::to_string);
        json!({
            "status": o.status.word(), "icon": icon(o.status), "subject": o.subject, "name": o.name, "message": o.message,
            "remedy": o.remedy, "evidence": o.evidence, "place": place,
        })
    };
    let (mut findings, others): (Vec<&Outcome>, Vec<&Outcome>) = stage.outcomes.iter().partition(|o| o.status.needs_attention());
    // Failures first: they are what a reader came for.
    findings.sort_by_key(|o| std::cmp::Reverse(o.status));
    let skipped = others.iter().filter(|o| o.status == Status::Skipped).count();
    let said = if skipped == 0 { format!("{} passed", others.len()) } else { format!("{} passed, {skipped} skipped", others.len() - skipped) };
    json!({
        // A name may be anything, an address in a page may not.
        "id": format!("stage-{nth}"), "name": stage.name, "status": stage.status.word(), "icon": icon(stage.status), "summary": stage.summary,
        "time": seconds(stage),
        "findings": findings.iter().map(row).collect::<Vec<_>>(), "others": others.iter().map(row).collect::<Vec<_>>(), "others_said": said,
        "table": stage.table, "pictures": stage.pictures.iter().map(figure).collect::<Vec<_>>(),
    })
}

fn figure(picture: &Picture) -> Json {
    json!({"title": picture.title, "about": picture.about, "svg": svg(picture), "numbers": numbers(&picture.shape)})
}

/// What no stage alone can show: where the time went.
fn overview(report: &RunReport) -> Option<Picture> {
    let ran = report.stages.iter().filter(|s| s.status != Status::Skipped);
    let bars: Vec<Bar> = ran.map(|s| Bar { name: s.name.clone(), value: s.elapsed.as_secs_f64(), out: !s.status.lets_on() }).collect();
    let longest = bars.iter().max_by(|a, b| a.value.total_cmp(&b.value)).map(|b| format!("; {} took longest, {:.2} s", b.name, b.value));
    let about = format!("Wall time of the stages, {} in all{}", humantime(report.elapsed), longest.unwrap_or_default());
    (!bars.is_empty()).then(|| Picture { title: "Timings".into(), about, shape: Shape::Bars { value: "seconds".into(), bars, reference: None } })
}

/// The picture for those who would rather read it; of a curve nobody would.
fn numbers(shape: &Shape) -> Option<Json> {
    let digits = |v: f64| format!("{v:.4}");
    let table = |columns: Vec<String>, rows: Vec<Vec<String>>| Some(json!({"columns": columns, "rows": rows}));
    match shape {
        Shape::Curves { .. } => None,
        Shape::Series { x, names, lines, .. } => {
            let value = |line: &Line, i: usize| line.values.get(i).copied().flatten().map(digits).unwrap_or_default();
            let rows = names.iter().enumerate().map(|(i, name)| std::iter::once(name.clone()).chain(lines.iter().map(|l| value(l, i))).collect());
            table(std::iter::once(x.clone()).chain(lines.iter().map(|l| l.name.clone())).collect(), rows.collect())
        }
        Shape::Matrix { rows, columns, labels, cells } => {
            let row = |(label, counts): (&String, &Vec<f64>)| std::iter::once(label.clone()).chain(counts.iter().map(f64::to_string)).collect();
            table(std::iter::once(format!("{rows} \\ {columns}")).chain(labels.clone()).collect(), labels.iter().zip(cells).map(row).collect())
        }
        Shape::Bars { value, bars, reference } => {
            let all = reference.map(|v| vec!["all rows".to_owned(), digits(v), String::new()]);
            let row = |b: &Bar| vec![b.name.clone(), digits(b.value), if b.out { "out of bounds" } else { "" }.to_owned()];
            table(vec!["name".into(), value.clone(), String::new()], bars.iter().map(row).chain(all).collect())
        }
        Shape::Intervals { value, intervals } => {
            let row = |i: &Interval| vec![i.name.clone(), digits(i.value), digits(i.low), digits(i.high)];
            table(vec!["name".into(), value.clone(), "from".into(), "to".into()], intervals.iter().map(row).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::report;
    use super::*;

    #[test]
    fn the_page_has_everything_loads_nothing_and_escapes() {
        let mut report = report();
        report.project = "<script>alert(1)</script>".into();
        let bars = Shape::Bars { value: "recall".into(), bars: vec![], reference: Some(0.5) };
        report.stages[0].pictures.push(Picture { title: "a & b".into(), about: "\"quoted\"".into(), shape: bars });
        let page = page(&report, &Templates::default()).expect("page");
        assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
        assert!(page.contains("aria-label=\"&quot;quoted&quot;\"") && page.contains("<svg"), "{page}");
        assert!(!page.contains("src=") && !page.contains("href=\"http"), "{page}");
        for outcome in report.stages.iter().flat_map(|s| &s.outcomes) {
            assert!(page.contains(&outcome.subject), "{} is missing", outcome.subject);
        }
    }
}
