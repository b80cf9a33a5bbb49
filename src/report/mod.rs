//! Reports: one neutral run report in, one file a sink out. A sink that fails is a warning, never a verdict.

mod annotations;
mod check_run;
mod code_quality;
mod comment;
mod commit_status;
mod console;
mod draw;
mod forge;
mod gitlab_links;
mod html;
mod json;
mod junit;
mod markdown;
mod marker;
mod metrics;
mod outputs;
mod sarif;
mod summary;

pub use self::forge::{Hosting, reach};

use async_trait::async_trait;
use schemars::SchemaGenerator;

use crate::catalogue::Named;
use crate::outcome::RunReport;
use crate::ports::ci::Ci;
use crate::ports::files::Workspace;
use crate::render::Templates;

/// Whether a change gets a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentPolicy {
    Auto,
    Always,
    Never,
}

/// Where a report goes.
pub struct Delivery<'a> {
    pub workspace: &'a Workspace,
    /// The folder of reports, relative to the workspace.
    pub dir: &'a str,
    pub ci: &'a Ci,
    pub comment: CommentPolicy,
    /// The comment of the last run makes way for a new one, so that whoever follows the change hears of it.
    pub recreate_comment: bool,
    /// For jobs that want a comment of their own.
    pub comment_key: Option<&'a str>,
    /// The change to comment on; else the event's.
    pub pr_number: Option<u64>,
    pub check_run: bool,
    pub commit_status: bool,
    pub hosting: Hosting<'a>,
    pub templates: &'a Templates,
    pub colour: bool,
    /// Only what needs attention.
    pub quiet: bool,
    /// No file is written.
    pub only_told: bool,
    /// Standard output carries JSON and nothing else.
    pub json_only: bool,
}

impl Delivery<'_> {
    /// Into the folder of reports; where it lies then.
    fn write(&self, file: &str, content: &[u8]) -> anyhow::Result<Option<String>> {
        if self.only_told {
            return Ok(None);
        }
        let path = format!("{}/{file}", self.dir);
        self.workspace.write(&path, content)?;
        Ok(Some(path))
    }
}

/// Somewhere a report can go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// The file of the report's folder that it writes; one that does not come about makes a green run broken.
    fn file(&self) -> Option<&'static str> {
        None
    }

    /// `Some` says what was written or done, `None` that there was nothing to do here.
    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>>;
}

/// A sink in the catalogue.
pub struct Kind {
    pub name: &'static str,
    pub doc: String,
    pub sink: Box<dyn Sink>,
}

fn kind<T: Sink + Named + Default + 'static>() -> Kind {
    let schema = T::json_schema(&mut SchemaGenerator::default());
    let doc = schema.get("description").and_then(|d| d.as_str()).unwrap_or_default().to_owned();
    Kind { name: T::NAME, doc, sink: Box::new(T::default()) }
}

/// Every sink, in the order of delivery: the console comes last and can tell of the others.
pub fn kinds() -> Vec<Kind> {
    vec![
        kind::<json::Json>(),
        kind::<junit::Junit>(),
        kind::<sarif::Sarif>(),
        kind::<code_quality::CodeQuality>(),
        kind::<metrics::Metrics>(),
        kind::<markdown::Markdown>(),
        kind::<html::Html>(),
        kind::<gitlab_links::GitlabLinks>(),
        kind::<outputs::Outputs>(),
        kind::<summary::Summary>(),
        kind::<comment::Comment>(),
        kind::<check_run::CheckRun>(),
        kind::<commit_status::CommitStatus>(),
        kind::<annotations::Annotations>(),
        kind::<console::Console>(),
    ]
}

/// What came of delivering.
#[derive(Debug, Default)]
pub struct Delivered {
    /// `report.json: mlops-out/report.json`
    pub done: Vec<String>,
    /// Sink and reason.
    pub failed: Vec<(String, String)>,
}

/// To every sink; one that fails does not stop the others.
pub async fn deliver(report: &RunReport, to: &Delivery<'_>) -> Delivered {
    let mut delivered = Delivered::default();
    for kind in kinds() {
        match kind.sink.deliver(report, to).await {
            Ok(Some(note)) => delivered.done.push(note),
            Ok(None) => {}
            Err(error) => delivered.failed.push((kind.name.into(), format!("{error:#}"))),
        }
    }
    delivered
}

/// Writes to standard output; a reader that has gone away is no error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    // Not through a filter of escapes: GitLab reads its sections in them. Colour was decided before.
    let written = std::io::stdout().write_all(text.as_bytes());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Icons that read without colour too.
const fn icon(status: crate::outcome::Status) -> &'static str {
    use crate::outcome::Status;
    match status {
        Status::Passed => "✓",
        Status::Warned => "!",
        Status::Failed => "✗",
        Status::Broken => "⊘",
        Status::Skipped => "–",
    }
}

#[cfg(test)]
mod test_support {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use crate::outcome::{Location, Outcome, Policy, RunReport, StageReport, Status, Table};

    /// A run in which everything happens that a sink must show.
    pub(super) fn report() -> RunReport {
        let location = Some(Location { file: "mlops.yml".into(), line: 12, column: 7 });
        let outcomes = vec![
            Outcome::new("flights", "rows", Status::Passed, "27,004 rows; must be at least 1000").took(Duration::from_millis(3)),
            Outcome::new("flights.tailnum", "references", Status::Warned, "16% are not in planes.tailnum").at(location.clone()),
            Outcome::new("flights.carrier", "in", Status::Failed, "1 row | has ::error:: `another` <value>\nin it")
                .at(location)
                .with_remedy(Some("accept it or mend the data".into()))
                .with_evidence(["{\"carrier\":\"\u{1b}[31m\u{fffe}]]>\"}".to_owned()]),
            Outcome::new("flights.carrier", "in", Status::Broken, "could not be evaluated: lost"),
        ];
        let check = StageReport {
            name: "check".into(),
            status: Status::Broken,
            summary: "4 checks on 1 table".into(),
            outcomes,
            artifacts: vec![],
            pictures: vec![],
            outputs: BTreeMap::new(),
            table: Some(Table {
                title: "Tables".into(),
                columns: vec!["table".into(), "rows".into()],
                rows: vec![vec!["flights".into(), "1 | <2>".into()]],
            }),
            elapsed: Duration::from_millis(40),
        };
        let stages = vec![check, StageReport::skipped("register", "check broken".into())];
        let (verdict, exit_code) = RunReport::verdict_of(&stages, Policy::default());
        RunReport {
            format_version: 1,
            tool_version: "0.0.0".into(),
            project: "flights".into(),
            environment: None,
            database: "u@h:5432/d".into(),
            artifact: None,
            narrowed: false,
            leg: None,
            shard: None,
            commit: Some("abc".into()),
            started_at: "2026-01-01T00:00:00Z".into(),
            elapsed: Duration::from_millis(1500),
            verdict,
            exit_code,
            counts: RunReport::count_outcomes(&stages),
            stages,
        }
    }

    pub(super) fn empty() -> RunReport {
        RunReport { stages: vec![], counts: BTreeMap::new(), ..report() }
    }
}
