//! Alembic, where it is installed: its revisions as the SQL that it would run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

const DRIVER: &str = include_str!("alembic.py");

#[derive(Debug, thiserror::Error)]
pub enum AlembicError {
    #[error("`alembic` is not in PATH: install it with what its env.py imports (pip install alembic), or activate its virtual environment")]
    Missing,
    #[error("{ini}: alembic failed: {why}")]
    Failed { ini: String, why: String },
    #[error("{ini}: revision {revision} cannot be written as SQL: {why}; it needs a live connection, so write its statements by hand (op.execute)")]
    Live { ini: String, revision: String, why: String },
}

/// One revision, in the order in which Alembic applies them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revision {
    pub id: String,
    /// All that it needs, of its own branch and of others.
    pub parents: Vec<String>,
    /// The first line of its docstring.
    pub doc: String,
    pub up: Vec<String>,
    /// `None`: it cannot be undone.
    pub down: Option<Vec<String>>,
    /// A part of it runs outside a transaction.
    pub autocommit: bool,
}

/// Everything that an environment holds, and why some of it has no way back.
#[derive(Debug, Default)]
pub struct Environment {
    pub revisions: Vec<Revision>,
    pub no_down: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Revision { revision: String, parents: Vec<String>, doc: String },
    Failed { failed: String, why: String },
    Up { up: String },
    Down { down: String },
    End { end: bool },
}

/// `path` is the PATH to look in.
pub fn read(ini: &Path, path: &str) -> Result<Environment, AlembicError> {
    let shown = ini.display().to_string();
    let failed = |why: String| AlembicError::Failed { ini: shown.clone(), why };
    let python = interpreter(path)?;
    let folder = ini.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut command = Command::new(python);
    command.arg("-c").arg(DRIVER).arg(ini.file_name().unwrap_or_default()).current_dir(folder);
    // The order of branches must not change from run to run.
    let output = command.env("PYTHONHASHSEED", "0").output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(text.lines().last().unwrap_or("it said nothing").to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let said = text.lines().map(serde_json::from_str).collect::<Result<Vec<Said>, _>>().map_err(|e| failed(e.to_string()))?;
    assemble(said, &shown)
}

/// The Python that `alembic` itself runs in.
fn interpreter(path: &str) -> Result<PathBuf, AlembicError> {
    let script = std::env::split_paths(path).map(|dir| dir.join("alembic")).find(|file| file.is_file()).ok_or(AlembicError::Missing)?;
    let text = std::fs::read(&script).unwrap_or_default();
    let first = String::from_utf8_lossy(text.split(|b| *b == b'\n').next().unwrap_or_default()).into_owned();
    let named = first.strip_prefix("#!").map(str::trim).filter(|program| program.contains("python") && !program.contains(' '));
    Ok(named.map_or_else(|| script.with_file_name("python3"), PathBuf::from))
}

fn assemble(said: Vec<Said>, ini: &str) -> Result<Environment, AlembicError> {
    let mut known: Vec<Revision> = Vec::new();
    let (mut up, mut down) = (Script::default(), Script::default());
    let (mut no_down, mut whole) = (None, false);
    for said in said {
        match said {
            Said::Revision { revision, parents, doc } => known.push(Revision { id: revision, parents, doc, ..Revision::default() }),
            Said::Up { up: text } => up.take(&text, "-- Running upgrade ", true),
            Said::End { end } => whole = end,
            Said::Down { down: text } if down.table.is_empty() && !up.table.is_empty() => {
                // Only the way up makes the table.
                down.table.clone_from(&up.table);
                down.take(&text, "-- Running downgrade ", false);
            }
            Said::Down { down: text } => down.take(&text, "-- Running downgrade ", false),
            Said::Failed { failed, why } if failed == "down" => {
                no_down = Some(why);
                // The revision at which it stopped is not whole.
                down.sections.pop();
            }
            Said::Failed { why, .. } => {
                let revision = up.sections.last().map_or_else(|| "(the first)".into(), |s| s.revision.clone());
                return Err(AlembicError::Live { ini: ini.into(), revision, why });
            }
        }
    }
    if !whole {
        return Err(AlembicError::Failed { ini: ini.into(), why: "it ended in the middle of its work".into() });
    }
    let table = up.table.clone();
    let mut environment = Environment { no_down, ..Environment::default() };
    for section in up.sections {
        let Some(revision) = known.iter().find(|r| r.id == section.revision) else { continue };
        let back = down.sections.iter().find(|s| s.revision == section.revision);
        environment.revisions.push(Revision {
            up: section.own(&table),
            down: back.map(|s| s.own(&table)),
            autocommit: section.autocommit || back.is_some_and(|s| s.autocommit),
            ..revision.clone()
        });
    }
    Ok(environment)
}

#[derive(Default)]
struct Script {
    sections: Vec<Section>,
    /// Where Alembic keeps its own revision, as it writes the name.
    table: String,
}

#[derive(Default)]
struct Section {
    revision: String,
    statements: Vec<String>,
    autocommit: bool,
}

impl Script {
    /// `to`: the revision stands behind the arrow, not in front of it.
    fn take(&mut self, text: &str, marker: &str, to: bool) {
        let text = text.trim();
        if let Some(arrow) = text.strip_prefix(marker).filter(|rest| !rest.contains(['\n', ';'])) {
            let (from, target) = arrow.split_once("->").unwrap_or((arrow, ""));
            let revision = if to { target } else { from };
            let revision = revision.split([',', ' ']).find(|word| !word.is_empty()).unwrap_or_default().to_owned();
            self.sections.push(Section { revision, ..Section::default() });
        } else if let Some(section) = self.sections.last_mut() {
            // The block ends with a new transaction inside the section; the section itself ends without one.
            section.autocommit |= text == "BEGIN;" && section.statements.iter().any(|s| s == "COMMIT;") && !section.said_its_version(&self.table);
            section.statements.push(text.to_owned());
        } else if let Some(rest) = text.strip_prefix("CREATE TABLE ") {
            rest.split([' ', '(']).next().unwrap_or_default().clone_into(&mut self.table);
        }
    }
}

impl Section {
    fn said_its_version(&self, table: &str) -> bool {
        self.statements.iter().any(|text| is_about(text, table))
    }

    /// Without what Alembic says to its own table and about transactions.
    fn own(&self, table: &str) -> Vec<String> {
        let transaction = |text: &str| ["BEGIN;", "COMMIT;"].contains(&text);
        self.statements.iter().filter(|text| !text.is_empty() && !transaction(text) && !is_about(text, table)).map(|text| ended(text)).collect()
    }
}

/// What Alembic says to the table in which it keeps its revision.
fn is_about(text: &str, table: &str) -> bool {
    let theirs = ["INSERT INTO ", "UPDATE ", "DELETE FROM ", "DROP TABLE "];
    let rest = theirs.iter().find_map(|verb| text.strip_prefix(verb)?.strip_prefix(table));
    !table.is_empty() && rest.is_some_and(|rest| rest.starts_with([' ', ';']))
}

/// A semicolon behind a comment is part of the comment.
fn ended(text: &str) -> String {
    let text = text.trim_end_matches(';').trim_end();
    let comment = text.lines().last().is_some_and(|line| line.contains("--"));
    format!("{text}{}", if comment { "\n;" } else { ";" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[(&str, &str)]) -> Vec<Said> {
        let one = |(way, text): &(&str, &str)| match *way {
            "revision" => Said::Revision { revision: (*text).into(), parents: vec![], doc: String::new() },
            "up" => Said::Up { up: format!("{text}\n\n") },
            "down" => Said::Down { down: format!("{text}\n\n") },
            "end" => Said::End { end: true },
            way => Said::Failed { failed: way[1..].into(), why: (*text).into() },
        };
        lines.iter().map(one).collect()
    }

    #[test]
    fn revisions_keep_their_statements_and_lose_alembics_own() {
        let all = assemble(
            said(&[
                ("revision", "b"),
                ("revision", "a"),
                ("up", "BEGIN;"),
                ("up", "CREATE TABLE app.v (\n    version_num VARCHAR(32) NOT NULL\n);"),
                ("up", "-- Running upgrade  -> a"),
                ("up", "CREATE TABLE t (i int); -- why;"),
                ("up", "INSERT INTO app.v (version_num) VALUES ('a');"),
                ("up", "-- Running upgrade a, x -> b"),
                ("up", "COMMIT;"),
                ("up", "create index concurrently i on t (i);"),
                ("up", "BEGIN;"),
                ("up", "select '-- Running upgrade a -> c';"),
                ("up", "UPDATE app.v SET version_num='b' WHERE app.v.version_num = 'a';"),
                ("up", "COMMIT;"),
                ("down", "-- Running downgrade b -> a, x"),
                ("down", "DROP INDEX i;"),
                ("-down", "NotImplementedError: no"),
                ("end", ""),
            ]),
            "alembic.ini",
        )
        .expect("environment");
        let [a, b] = &all.revisions[..] else { panic!("{all:?}") };
        assert_eq!((a.up.as_slice(), a.autocommit, &a.down), (&["CREATE TABLE t (i int); -- why\n;".to_owned()][..], false, &None));
        assert_eq!(b.up, ["create index concurrently i on t (i);", "select '-- Running upgrade a -> c'\n;"]);
        assert!(b.autocommit && b.down.is_none() && all.no_down.is_some());
    }

    #[test]
    fn a_revision_that_needs_a_connection_is_named() {
        let error =
            assemble(said(&[("revision", "a"), ("up", "-- Running upgrade  -> a"), ("-up", "AttributeError: fetchall")]), "x.ini").expect_err("live");
        assert!(error.to_string().starts_with("x.ini: revision a cannot be written as SQL: AttributeError: fetchall"), "{error}");
    }
}
