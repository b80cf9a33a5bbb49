//! The sections that belong to no stage.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::mistakes::Mistakes;
use crate::names::{RelPath, postgres_url_mistake};
use crate::node::{Node, Value};
use crate::secret::Secret;
use crate::tls::TlsMode;
use crate::units::Span;

/// Top-level keys that are read here. `environments` has been applied before.
pub(super) const KEYS: [&str; 6] = ["version", "project", "database", "report", "templates", "environments"];

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Core {
    /// The version of this language: 1.
    pub version: u32,
    /// The project's name, shown in reports and used to find its comment again.
    pub project: String,
    #[serde(default)]
    pub database: Database,
    #[serde(default)]
    pub report: Report,
    /// A folder with templates of your own, by the names of those in `templates/`: `report.md.hbs`, `deployment.yaml.hbs`, …
    #[serde(default)]
    pub templates: Option<RelPath>,
}

/// The Postgres server that the stages work on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `postgres://user:password@host:port/database`. Empty: a throwaway server from the installed Postgres binaries,
    /// gone when the run ends.
    #[schemars(with = "String")]
    pub url: Secret,
    /// How long to wait for a server that is still starting.
    pub connect_timeout: Span,
    /// How long a statement may run.
    pub statement_timeout: Span,
    /// `auto` prefers TLS on sockets, loopback and bare service names, and verifies everything else.
    pub tls: TlsMode,
    /// A file with the certificates to trust.
    pub ca: Option<PathBuf>,
    /// Connections at the most.
    pub pool: usize,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: Secret::new(""),
            connect_timeout: Span::seconds(30),
            statement_timeout: Span::seconds(300),
            tls: TlsMode::default(),
            ca: None,
            pool: 4,
        }
    }
}

/// What is told, and where.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// The folder for all files written.
    pub dir: RelPath,
    /// Whether a pull or merge request gets a comment: `auto` when there is one to comment on.
    pub comment: Comment,
    /// What happens to the comment of the last run: `update` it, or `recreate` it, so that whoever follows the change hears of it.
    pub comment_mode: CommentMode,
    /// Also a check run on the commit (GitHub, `checks: write`).
    pub check_run: bool,
    /// Also a commit status (GitHub `statuses: write`, GitLab scope `api`).
    pub commit_status: bool,
    /// How long the code host may be asked and asked again; what is not delivered by then is a warning.
    pub timeout: Span,
    /// A file with certificates to trust when talking to the code host.
    pub ca: Option<PathBuf>,
    /// What makes a run fail.
    pub fail_on: FailOn,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            dir: RelPath::parse("mlops-out").unwrap_or_else(|_| unreachable!("a plain name")),
            comment: Comment::default(),
            comment_mode: CommentMode::default(),
            check_run: false,
            commit_status: false,
            timeout: Span::seconds(180),
            ca: None,
            fail_on: FailOn::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Comment {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommentMode {
    #[default]
    Update,
    Recreate,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailOn {
    #[default]
    Failed,
    Warned,
}

impl Core {
    /// Nothing but defaults.
    pub fn bare() -> Self {
        Self { version: 1, project: String::new(), database: Database::default(), report: Report::default(), templates: None }
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        [self.database.url.expose()].into_iter().filter(|url| !url.is_empty())
    }
}

pub(super) fn decode(root: &Node, mistakes: &mut Mistakes) -> Option<Core> {
    let entries = root.entries().iter().filter(|(key, node)| KEYS.contains(&key.name.as_str()) && !node.is_null());
    let core = Node::new(Value::Map(entries.cloned().collect()), root.place).decode::<Core>(mistakes)?;
    if core.version != 1 {
        let place = root.get("version").map_or(root.place, |node| node.place);
        mistakes.add(place, format!("version {} is not known here; this tool reads `version: 1`", core.version));
        return None;
    }
    if let Some(why) = postgres_url_mistake(core.database.url.expose()) {
        let place = root.get("database").and_then(|node| node.get("url")).map_or(root.place, |node| node.place);
        mistakes.add(place, format!("`database.url` {why}"));
    }
    if core.database.statement_timeout.0.as_millis() > i32::MAX as u128 || core.database.pool == 0 {
        mistakes.add(root.get("database").map_or(root.place, |node| node.place), "`statement_timeout` is at most 24 days, and `pool` at least 1");
    }
    if core.project.trim().is_empty() {
        mistakes.add(root.get("project").map_or(root.place, |node| node.place), "`project` is empty");
        return None;
    }
    Some(core)
}
