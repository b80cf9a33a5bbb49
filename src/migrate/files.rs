//! A folder's files as ordered migrations. The names and markers of golang-migrate, sqlx, dbmate, goose and Flyway are
//! understood as they are.

use std::collections::BTreeMap;

use super::script::{Script, unknown_directives};
use super::vars::Vars;
use super::version::Version;
use crate::ports::files::sha256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub version: Version,
    pub name: String,
    pub up: Script,
    pub down: Option<Script>,
    /// Where the down part is, or would be.
    pub down_file: String,
    /// Of the up part as written, blind to line ends and a byte order mark.
    pub checksum: String,
}

/// A view, a function: applied again whenever its file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    pub name: String,
    pub script: Script,
    pub checksum: String,
}

/// Everything in a folder of migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// In order.
    pub migrations: Vec<Migration>,
    /// By name.
    pub repeatables: Vec<Repeatable>,
}

impl Migration {
    pub fn id(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }

    pub fn file(&self) -> &str {
        &self.up.file
    }
}

impl Repeatable {
    /// What the history calls it.
    pub fn id(&self) -> String {
        format!("R__{}", self.name)
    }
}

impl Folder {
    pub fn find(&self, version: &Version) -> Option<&Migration> {
        self.migrations.binary_search_by(|m| m.version.cmp(version)).ok().map(|at| &self.migrations[at])
    }

    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty() && self.repeatables.is_empty()
    }
}

struct Part<'a> {
    file: &'a str,
    text: String,
    line: usize,
    no_transaction: bool,
}

#[derive(Default)]
struct Parts<'a> {
    name: String,
    up: Option<Part<'a>>,
    down: Option<Part<'a>>,
}

/// By its name, which may still turn out to be wrong.
pub fn is_migration(file: &str) -> bool {
    file.to_lowercase().ends_with(".sql")
}

/// A file with a down part and no other.
pub fn only_undoes(file: &str) -> bool {
    matches!(split_name(file), Some(Name::Versioned(.., Kind::Down)))
}

/// `(file name, text)` pairs in any order; every mistake at once.
pub fn parse(files: &[(String, String)], vars: &Vars) -> Result<Folder, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut versions: BTreeMap<Version, Parts<'_>> = BTreeMap::new();
    let mut repeatables = BTreeMap::new();
    for (file, text) in files.iter().filter(|(file, _)| is_migration(file)) {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        mistakes.extend(unknown_directives(&text).into_iter().map(|(line, why)| format!("{file}:{}: {why}", line + 1)));
        let (version, name, kind) = match split_name(file) {
            Some(Name::Repeatable(name)) => {
                if let Some(script) = finish_part(Part { file, text: text.clone(), line: 0, no_transaction: false }, vars, &mut mistakes) {
                    repeatables.insert(name.to_owned(), Repeatable { name: name.into(), script, checksum: sha256(text.as_bytes()) });
                }
                continue;
            }
            Some(Name::Versioned(version, name, kind)) => (version, name, kind),
            None => {
                mistakes
                    .push(format!("{file}: a migration is called 0001_name.up.sql, 0001_name.down.sql or 0001_name.sql (repeatable: R__name.sql)"));
                continue;
            }
        };
        let shown = version.clone();
        let parts = versions.entry(version).or_insert_with(|| Parts { name: name.into(), ..Parts::default() });
        if parts.name != name {
            mistakes.push(format!("{file}: version {shown} is taken by `{}`; give one of them another number", parts.name));
            continue;
        }
        let whole = |text| Some(Part { file, text, line: 0, no_transaction: false });
        let (up, down) = match kind {
            Kind::Up => (whole(text), None),
            Kind::Down => (None, whole(text)),
            Kind::Both => both(file, &text, &mut mistakes),
        };
        for (slot, part) in [(&mut parts.up, up), (&mut parts.down, down)] {
            if let Some(first) = part.and_then(|part| slot.replace(part)) {
                mistakes.push(format!("{file}: {} says the same part of version {shown}", first.file));
            }
        }
    }
    let migrations = versions.into_iter().filter_map(|(version, parts)| finish(version, parts, vars, &mut mistakes)).collect();
    if mistakes.is_empty() { Ok(Folder { migrations, repeatables: repeatables.into_values().collect() }) } else { Err(mistakes) }
}

fn finish(version: Version, parts: Parts<'_>, vars: &Vars, mistakes: &mut Vec<String>) -> Option<Migration> {
    let Some(up) = parts.up else {
        // Without either part the file has been reported already.
        mistakes.extend(parts.down.map(|down| format!("{}: there is a down part but no up part", down.file)));
        return None;
    };
    let checksum = sha256(up.text.as_bytes());
    let down_file = parts.down.as_ref().map_or_else(|| down_name(up.file), |d| d.file.to_owned());
    let up_file = up.file;
    let down = parts.down.and_then(|part| finish_part(part, vars, mistakes)).filter(|script| !script.is_empty());
    let up = finish_part(up, vars, mistakes)?;
    if up.is_empty() {
        mistakes.push(format!("{up_file}: the up part is empty"));
    }
    Some(Migration { version, name: parts.name, up, down, down_file, checksum })
}

fn finish_part(part: Part<'_>, vars: &Vars, mistakes: &mut Vec<String>) -> Option<Script> {
    match vars.fill(&part.text) {
        Ok(text) => {
            let mut script = Script::new(part.file, part.line, &text);
            script.transactional &= !part.no_transaction;
            Some(script)
        }
        Err(unknown) => {
            mistakes.extend(unknown.into_iter().map(|(line, why)| format!("{}:{}: {why}", part.file, part.line + line + 1)));
            None
        }
    }
}

/// Where a down part is expected: beside the up part, or in the same file.
fn down_name(file: &str) -> String {
    file.strip_suffix(".up.sql").map_or_else(|| file.to_owned(), |stem| format!("{stem}.down.sql"))
}

enum Kind {
    Up,
    Down,
    Both,
}

enum Name<'a> {
    Versioned(Version, &'a str, Kind),
    Repeatable(&'a str),
}

fn split_name(file: &str) -> Option<Name<'_>> {
    let stem = file.strip_suffix(".sql")?;
    if let Some((before, name)) = stem.split_once("__").filter(|(_, name)| !name.is_empty()) {
        // Flyway: V1.2__name, U1.2__name, R__name.
        let flyway = |letter| before.strip_prefix(letter);
        let versioned = |version: &str, kind| Some(Name::Versioned(Version::parse(version)?, name, kind));
        match (flyway('V'), flyway('U'), before) {
            (Some(version), ..) => return versioned(version, Kind::Both),
            (_, Some(version), _) => return versioned(version, Kind::Down),
            (.., "R") => return Some(Name::Repeatable(name)),
            _ => {}
        }
    }
    let (stem, kind) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
        (Some(stem), _) => (stem, Kind::Up),
        (_, Some(stem)) => (stem, Kind::Down),
        _ => (stem, Kind::Both),
    };
    let (version, name) = stem.split_once(['_', '-'])?;
    let valid = version.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty();
    valid.then_some(Name::Versioned(Version::parse(version)?, name, kind))
}

/// `-- migrate:up` (dbmate) or `-- +goose Up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Up,
    Down,
}

fn marker(line: &str) -> Option<(Marker, bool)> {
    let said = line.trim().strip_prefix("--")?.trim();
    let (word, rest) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
    let no_transaction = rest.split_whitespace().any(|option| option == "transaction:false");
    match (word, rest.trim()) {
        ("migrate:up", _) => Some((Marker::Up, no_transaction)),
        ("migrate:down", _) => Some((Marker::Down, no_transaction)),
        ("+goose", "Up" | "up") => Some((Marker::Up, false)),
        ("+goose", "Down" | "down") => Some((Marker::Down, false)),
        _ => None,
    }
}

/// A comment that may have been meant as a marker.
fn almost(line: &str) -> bool {
    let Some(said) = line.trim().strip_prefix("--").map(|c| c.trim().to_lowercase()) else { return false };
    let words: Vec<&str> = said.split([' ', ':', '+']).filter(|w| !w.is_empty()).collect();
    let near = |word: &str| strsim::levenshtein(word, "up") <= 1 || strsim::levenshtein(word, "down") <= 1;
    match words.as_slice() {
        ["up" | "down"] => true,
        ["migrate" | "migration" | "goose", word, rest @ ..] => rest.len() <= 1 && near(word),
        _ => false,
    }
}

/// One file: with both parts between markers, or without any marker an up part alone.
fn both<'a>(file: &'a str, text: &str, mistakes: &mut Vec<String>) -> (Option<Part<'a>>, Option<Part<'a>>) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let place = |which: Marker| lines.iter().position(|line| marker(line).is_some_and(|(found, _)| found == which));
    let goose_no_transaction = lines.iter().any(|line| line.trim() == "-- +goose NO TRANSACTION");
    let (up, down) = (place(Marker::Up), place(Marker::Down));
    let part = |from: usize, to: usize| {
        let no_transaction = goose_no_transaction || from.checked_sub(1).and_then(|at| marker(lines[at])).is_some_and(|(_, no)| no);
        Some(Part { file, text: lines[from..to].concat(), line: from, no_transaction })
    };
    match (up, down) {
        (None, None) => {
            if let Some(line) = lines.iter().position(|line| almost(line)) {
                mistakes.push(format!("{file}:{}: is this meant as a marker? They are `-- migrate:up` and `-- migrate:down`", line + 1));
                return (None, None);
            }
            (part(0, lines.len()), None)
        }
        (None, Some(_)) => {
            mistakes.push(format!("{file}: there is `-- migrate:down` but no line `-- migrate:up`"));
            (None, None)
        }
        (Some(up), Some(down)) if down < up => {
            mistakes.push(format!("{file}: the down part stands before the up part"));
            (None, None)
        }
        (Some(up), down) => {
            let end = down.unwrap_or(lines.len());
            if let Some(line) = (up + 1..lines.len()).find(|at| Some(*at) != down && almost(lines[*at]) && !lines[*at].contains("Statement")) {
                mistakes.push(format!("{file}:{}: is this meant as a marker? There is one for each part already", line + 1));
            }
            (part(up + 1, end), down.and_then(|down| part(down + 1, lines.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Folder, Vec<String>> {
        let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        parse(&files, &Vars::default())
    }

    fn ids(folder: &Folder) -> Vec<String> {
        folder.migrations.iter().map(Migration::id).collect()
    }

    #[test]
    fn two_files_or_one_and_numbers_in_order() {
        let found = read(&[
            ("10_c.sql", "-- migrate:up\ncreate table c (i int);\n-- migrate:down\ndrop table c;\n"),
            ("0002_b.up.sql", "create table b (i int);"),
            ("0002_b.down.sql", "drop table b;"),
            ("1_a.up.sql", "create table a (i int);"),
            ("notes.md", "not a migration"),
        ])
        .expect("migrations");
        assert_eq!(ids(&found), ["1_a", "0002_b", "10_c"]);
        let [a, _, c] = &found.migrations[..] else { panic!("{found:?}") };
        assert!(a.down.is_none() && a.down_file == "1_a.down.sql");
        assert_eq!((c.up.text.as_str(), c.up.line), ("create table c (i int);\n", 1));
        assert_eq!(c.down.as_ref().map(|d| (d.text.as_str(), d.line)), Some(("drop table c;\n", 3)));
    }

    #[test]
    fn the_files_of_other_tools_are_understood() {
        let found = read(&[
            (
                "00001_goose.sql",
                "-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\nselect 1;\n-- +goose StatementEnd\n-- +goose Down\nselect 2;\n",
            ),
            ("2_dbmate.sql", "-- migrate:up transaction:false\nvacuum;\n\n-- migrate:down\nselect 1;\n"),
            ("V3.1__flyway.sql", "select 3;"),
            ("U3.1__flyway.sql", "select 4;"),
            ("R__views.sql", "-- migrate all to the new table\ncreate or replace view v as select 1 as one;"),
            ("4-sqlx.sql", "-- no-transaction\nvacuum;"),
        ])
        .expect("migrations");
        assert_eq!(ids(&found), ["00001_goose", "2_dbmate", "3.1_flyway", "4_sqlx"]);
        let transactional: Vec<_> = found.migrations.iter().map(|m| m.up.transactional).collect();
        assert_eq!(transactional, [false, false, true, false]);
        assert!(found.migrations[1].down.as_ref().is_some_and(|down| down.transactional));
        assert!(found.migrations[2].down.as_ref().is_some_and(|down| down.file == "U3.1__flyway.sql"));
        assert_eq!(found.repeatables[0].id(), "R__views");
    }

    #[test]
    fn the_checksum_is_blind_to_line_ends_and_marks() {
        let unix = read(&[("1_a.up.sql", "select 1;\nselect 2;\n")]).expect("unix");
        let windows = read(&[("1_a.up.sql", "\u{feff}select 1;\r\nselect 2;\r\n")]).expect("windows");
        assert_eq!(unix.migrations[0].checksum, windows.migrations[0].checksum);
        let edited = read(&[("1_a.up.sql", "select 1;\nselect 3;\n")]).expect("edited");
        assert_ne!(unix.migrations[0].checksum, edited.migrations[0].checksum);
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let said = read(&[
            ("1_a.up.sql", "select 1"),
            ("001_b.up.sql", "select 1"),
            ("2_c.down.sql", "select 1"),
            ("3_d.sql", "-- migrate up\nselect 1"),
            ("4_e.up.sql", " \n -- nothing"),
            ("5_f.up.sql", "-- mlops: no-transacton\nselect 1"),
            ("x.sql", "select 1"),
        ])
        .expect_err("mistakes");
        assert_eq!(said.len(), 6, "{said:#?}");
    }
}
