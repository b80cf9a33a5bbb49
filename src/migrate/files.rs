//! A folder's files as ordered migrations.

use std::collections::BTreeMap;

use crate::ports::files::sha256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// As written in the file's name: `0001` or `20260101120000`.
    pub version: String,
    pub name: String,
    pub up: String,
    pub down: Option<String>,
    /// The line of `file` on which the up part starts, counted from 0.
    pub up_line: usize,
    pub down_line: usize,
    /// The file with the up part.
    pub file: String,
    pub down_file: String,
    /// Of the up part, blind to line ends and a byte order mark.
    pub checksum: String,
}

impl Migration {
    pub fn id(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }
}

struct Part<'a> {
    file: &'a str,
    text: String,
    line: usize,
}

#[derive(Default)]
struct Parts<'a> {
    name: String,
    up: Option<Part<'a>>,
    down: Option<Part<'a>>,
}

/// `(file name, text)` pairs in any order; every mistake at once.
pub fn parse(files: &[(String, String)]) -> Result<Vec<Migration>, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut versions: BTreeMap<(usize, &str), Parts<'_>> = BTreeMap::new();
    for (file, text) in files.iter().filter(|(file, _)| file.to_lowercase().ends_with(".sql")) {
        let Some((version, name, kind)) = split_name(file) else {
            mistakes.push(format!("{file}: a migration is called 0001_name.up.sql, 0001_name.down.sql or 0001_name.sql"));
            continue;
        };
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        // Numbers in order, however many zeros stand in front.
        let digits = version.trim_start_matches('0');
        let parts = versions.entry((digits.len(), digits)).or_insert_with(|| Parts { name: name.into(), ..Parts::default() });
        if parts.name != name {
            mistakes.push(format!("{file}: version {version} is taken by `{}`; give one of them another number", parts.name));
            continue;
        }
        let (up, down) = match kind {
            Kind::Up => (Some(Part { file, text, line: 0 }), None),
            Kind::Down => (None, Some(Part { file, text, line: 0 })),
            Kind::Both => both(file, &text, &mut mistakes),
        };
        for (slot, part) in [(&mut parts.up, up), (&mut parts.down, down)] {
            if let Some(first) = part.and_then(|part| slot.replace(part)) {
                mistakes.push(format!("{file}: {} says the same part of version {version}", first.file));
            }
        }
    }
    let migrations = versions.into_values().filter_map(|parts| finish(parts, &mut mistakes)).collect();
    if mistakes.is_empty() { Ok(migrations) } else { Err(mistakes) }
}

fn finish(parts: Parts<'_>, mistakes: &mut Vec<String>) -> Option<Migration> {
    let Some(up) = parts.up else {
        // Without either part the file has been reported already.
        mistakes.extend(parts.down.map(|down| format!("{}: there is a down part but no up part", down.file)));
        return None;
    };
    if up.text.trim().is_empty() {
        mistakes.push(format!("{}: the up part is empty", up.file));
    }
    let version = split_name(up.file).map(|(version, ..)| version.to_owned())?;
    Some(Migration {
        checksum: sha256(up.text.as_bytes()),
        version,
        name: parts.name,
        up_line: up.line,
        down_line: parts.down.as_ref().map_or(0, |d| d.line),
        file: up.file.into(),
        down_file: parts.down.as_ref().map_or(up.file, |d| d.file).into(),
        up: up.text,
        down: parts.down.map(|d| d.text).filter(|text| !text.trim().is_empty()),
    })
}

enum Kind {
    Up,
    Down,
    Both,
}

fn split_name(file: &str) -> Option<(&str, &str, Kind)> {
    let stem = file.strip_suffix(".sql")?;
    let (stem, kind) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
        (Some(stem), _) => (stem, Kind::Up),
        (_, Some(stem)) => (stem, Kind::Down),
        _ => (stem, Kind::Both),
    };
    let (version, name) = stem.split_once(['_', '-'])?;
    let valid = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty();
    valid.then_some((version, name, kind))
}

/// One file with `-- migrate:up` and `-- migrate:down`.
fn both<'a>(file: &'a str, text: &str, mistakes: &mut Vec<String>) -> (Option<Part<'a>>, Option<Part<'a>>) {
    let marker = |line: &str, word: &str| line.trim().strip_prefix("--").is_some_and(|rest| rest.trim() == word);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let up = lines.iter().position(|line| marker(line, "migrate:up"));
    let down = lines.iter().position(|line| marker(line, "migrate:down"));
    let (Some(up), down) = (up, down) else {
        mistakes.push(format!("{file}: no line `-- migrate:up`; or name the file 0001_name.up.sql"));
        return (None, None);
    };
    if down.is_some_and(|down| down < up) {
        mistakes.push(format!("{file}: `-- migrate:down` stands before `-- migrate:up`"));
        return (None, None);
    }
    let part = |from: usize, to: usize| Part { file, text: lines[from + 1..to].concat(), line: from + 1 };
    (Some(part(up, down.unwrap_or(lines.len()))), down.map(|down| part(down, lines.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn versions_are_numbers_and_both_layouts_are_read() {
        let migrations = parse(&files(&[
            ("10_c.sql", "-- migrate:up\ncreate table c();\n-- migrate:down\ndrop table c;\n"),
            ("9_b.up.sql", "create table b();"),
            ("9_b.down.sql", "drop table b;"),
            ("0001_a.up.sql", "create table a();"),
            ("README.md", "not a migration"),
        ]))
        .expect("migrations");
        let ids: Vec<_> = migrations.iter().map(Migration::id).collect();
        assert_eq!(ids, ["0001_a", "9_b", "10_c"]);
        assert_eq!(migrations[2].down.as_deref(), Some("drop table c;\n"));
        assert_eq!((migrations[2].up_line, migrations[0].down.is_none()), (1, true));
    }

    #[test]
    fn the_checksum_is_blind_to_line_ends_and_bom() {
        let unix = parse(&files(&[("1_a.up.sql", "select 1;\nselect 2;\n")])).expect("unix");
        let dos = parse(&files(&[("1_a.up.sql", "\u{feff}select 1;\r\nselect 2;\r\n")])).expect("dos");
        assert_eq!(unix[0].checksum, dos[0].checksum);
    }

    #[test]
    fn every_mistake_is_named() {
        let mistakes = parse(&files(&[
            ("1_a.up.sql", "select 1"),
            ("01_b.up.sql", "select 1"),
            ("two.sql", "select 1"),
            ("3_c.sql", "select 1"),
            ("4_d.down.sql", "select 1"),
            ("5_e.up.sql", " \n"),
        ]))
        .expect_err("mistakes");
        assert_eq!(mistakes.len(), 5, "{mistakes:#?}");
        assert!(mistakes.iter().any(|m| m.contains("01_b.up.sql") && m.contains("taken by `a`")), "{mistakes:#?}");
    }
}
