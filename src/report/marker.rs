//! The hidden first line by which a comment is found again, and which run it is of.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::outcome::RunReport;
use crate::ports::ci::Stamp;
use crate::ports::files::sha256;

/// `<!-- mlops-action KEY run=17.1 content=0123456789abcdef -->`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) key: String,
    pub(super) stamp: Option<Stamp>,
    content: String,
}

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
const START: &str = "<!-- mlops-action ";
const END: &str = " -->";

impl Marker {
    /// One comment a project, environment and (where jobs want their own) name.
    pub(super) fn key(project: &str, environment: Option<&str>, name: Option<&str>) -> String {
        let name = name.filter(|name| !name.is_empty());
        let parts = [Some(project), Some(environment.unwrap_or_default()), name];
        let encoded = |part: &str| utf8_percent_encode(part, KEPT).to_string();
        // Two hyphens would end an HTML comment.
        parts.into_iter().flatten().map(encoded).collect::<Vec<_>>().join("/").replace("--", "-%2D")
    }

    pub(super) fn new(key: String, stamp: Option<Stamp>, report: &RunReport) -> Self {
        // What it says, not when or how fast.
        let said: Vec<_> = report.stages.iter().flat_map(|s| &s.outcomes).map(|o| (o.status.word(), &o.subject, &o.name, &o.message)).collect();
        let said = serde_json::to_vec(&(report.verdict.word(), said)).unwrap_or_default();
        Self { key, stamp, content: sha256(&said).chars().take(16).collect() }
    }

    pub(super) fn read(body: &str) -> Option<Self> {
        let inner = body.trim_start().strip_prefix(START)?.split_once(END)?.0;
        let mut marker = Self { key: String::new(), stamp: None, content: String::new() };
        for word in inner.split(' ') {
            match word.split_once('=') {
                Some(("run", run)) => marker.stamp = run.split_once('.').and_then(|(id, attempt)| Some((id.parse().ok()?, attempt.parse().ok()?))),
                Some(("content", content)) => content.clone_into(&mut marker.content),
                _ => word.clone_into(&mut marker.key),
            }
        }
        Some(marker)
    }

    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        self.stamp.zip(other.stamp).is_some_and(|(own, other)| own > other)
    }

    pub(super) fn says_what(&self, other: &Self) -> bool {
        self.content == other.content
    }

    pub(super) fn run(&self) -> String {
        self.stamp.map_or_else(|| "?".into(), |(id, attempt)| format!("{id}.{attempt}"))
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{START}{}", self.key)?;
        if self.stamp.is_some() {
            write!(f, " run={}", self.run())?;
        }
        write!(f, " content={}{END}", self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::report;
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written_and_ends_where_it_should() {
        for (project, environment, name) in [("p", None, None), ("a--b -->", Some("x=y run=9.9"), Some("py 3.12/<leg>")), ("ü", Some(""), Some(""))]
        {
            let marker = Marker::new(Marker::key(project, environment, name), Some((17, 2)), &report());
            let line = marker.to_string();
            assert!(line.matches("--").count() == 2 && line.ends_with("-->"), "{line}");
            assert_eq!(Marker::read(&format!("{line}\n## title")), Some(marker));
        }
        assert_eq!(Marker::key("p", None, None), "p/");
        assert_eq!(Marker::read("## title\n<!-- mlops-action p/ -->"), None, "only the first line counts");
    }

    #[test]
    fn runs_are_compared_by_number_then_attempt_and_unknown_ones_are_not_newer() {
        let marker = |stamp| Marker::new("p/".into(), stamp, &report());
        assert!(marker(Some((10, 1))).is_newer_than(&marker(Some((9, 5)))) && marker(Some((10, 2))).is_newer_than(&marker(Some((10, 1)))));
        assert!(!marker(Some((10, 1))).is_newer_than(&marker(Some((10, 1)))) && !marker(None).is_newer_than(&marker(Some((1, 1)))));
    }

    #[test]
    fn another_time_is_not_another_content() {
        let marker = |report: &RunReport| Marker::new("p/".into(), None, report);
        let (first, mut second) = (report(), report());
        second.elapsed *= 2;
        assert!(marker(&first).says_what(&marker(&second)));
        second.stages[0].outcomes[0].message.push('!');
        assert!(!marker(&first).says_what(&marker(&second)));
    }
}
