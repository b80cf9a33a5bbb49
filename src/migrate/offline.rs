//! The script that a run would send, for a database that only psql may touch.

use super::files::{Folder, Migration};
use super::history::{Change, NewRow};
use super::script::Script;
use super::version::Version;
use super::{Options, Source};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// From one version (exclusive) to another (inclusive), or back.
pub fn script(folder: &Folder, way: Way, from: Option<&Version>, to: Option<&Version>, options: &Options) -> Result<String, String> {
    let mut text = String::from("-- Run with: psql -v ON_ERROR_STOP=1 -f THIS\n");
    // As a run would find it: the lock keeps runs out while psql is at work.
    text.push_str("select pg_advisory_lock(x'6d6c6f7073'::bigint);\n");
    text.push_str(include_str!("history.sql").trim_end());
    text.push_str(";\n");
    let inside = |m: &&Migration, above: Option<&Version>, up_to: Option<&Version>| {
        above.is_none_or(|v| m.version > *v) && up_to.is_none_or(|v| m.version <= *v)
    };
    match way {
        Way::Up => {
            for m in folder.migrations.iter().filter(|m| inside(m, from, to)) {
                let meaning = m.up.meaning();
                let row = NewRow {
                    source: Source::App,
                    version: m.version.as_str(),
                    name: &m.name,
                    checksum: &m.checksum,
                    meaning: Some(&meaning),
                    reason: m.up.reason.as_deref(),
                    statements: None,
                    adopted_from: None,
                    run: Some("psql"),
                };
                part(&mut text, &m.id(), &m.up, &row.insert(), options);
            }
            for r in folder.repeatables.iter().filter(|_| to.is_none()) {
                let id = r.id();
                let row = NewRow {
                    source: Source::App,
                    version: &id,
                    name: &r.name,
                    checksum: &r.checksum,
                    meaning: None,
                    reason: r.script.reason.as_deref(),
                    statements: None,
                    adopted_from: None,
                    run: Some("psql"),
                };
                part(&mut text, &id, &r.script, &row.insert(), options);
            }
        }
        Way::Down => {
            for m in folder.migrations.iter().rev().filter(|m| inside(m, to, from)) {
                let Some(down) = &m.down else { return Err(format!("{} has no down part, so it cannot be undone", m.down_file)) };
                let undone = Change::Undone { source: Source::App, version: m.version.as_str(), run: Some("psql") };
                part(&mut text, &m.id(), down, &undone.sql(), options);
            }
        }
    }
    text.push_str("\nselect pg_advisory_unlock(x'6d6c6f7073'::bigint);\n");
    Ok(text)
}

fn part(text: &mut String, id: &str, script: &Script, history: &str, options: &Options) {
    let body = script.text.trim_end();
    let end = if body.ends_with(';') { "" } else { "\n;" };
    let (begin, local, commit) = if script.transactional { ("begin;\n", "local ", "commit;\n") } else { ("", "", "") };
    let timeout = options.lock_timeout.as_millis();
    text.push_str(&format!(
        "\n-- {id} ({})\n{begin}set {local}lock_timeout = {timeout};\n{body}{end}\nreset role;\n{history};\n{commit}",
        script.file
    ));
    if !script.transactional {
        text.push_str("reset all;\n");
    }
}
