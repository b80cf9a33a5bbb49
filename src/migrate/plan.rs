//! What is to be done, and what must not: files and history side by side, without touching either.

use super::files::{Folder, Migration, Repeatable};
use super::history::{History, Steps};
use super::version::Version;
use super::{MigrateError, Options};

/// What `up` would do.
#[derive(Debug, Default)]
pub struct Pending<'a> {
    /// The one that stopped half-way, and how far it came.
    pub unfinished: Option<(&'a Migration, Steps)>,
    pub migrations: Vec<&'a Migration>,
    pub repeatables: Vec<&'a Repeatable>,
}

/// Everything that is not applied yet, once history and files agree on the rest; else every disagreement.
pub fn pending<'a>(history: &History, folder: &'a Folder, options: &Options) -> Result<Pending<'a>, Vec<MigrateError>> {
    let mut wrong = Vec::new();
    let mut pending = Pending::default();
    let head = history.versioned.last_key_value();
    for migration in &folder.migrations {
        match history.versioned.get(&migration.version) {
            Some(row) => match row.steps.filter(|steps| !steps.is_whole()) {
                // Its text may change from the statement on at which it stopped; that is looked at when it goes on.
                Some(steps) => pending.unfinished = Some((migration, steps)),
                None if row.checksum != migration.checksum => wrong.push(MigrateError::Edited {
                    version: migration.version.to_string(),
                    file: migration.file().into(),
                    harmless: row.meaning.as_deref() == Some(migration.up.meaning().as_str()),
                }),
                None => {}
            },
            None if !options.out_of_order && head.is_some_and(|(head, _)| migration.version < *head) => wrong.push(MigrateError::OutOfOrder {
                file: migration.file().into(),
                head: head.map(|(_, row)| row.version.clone()).unwrap_or_default(),
                free: following(history, folder),
            }),
            None => pending.migrations.push(migration),
        }
    }
    for (version, row) in &history.versioned {
        if folder.find(version).is_none() {
            wrong.push(MigrateError::Gone { version: row.version.clone(), name: row.name.clone() });
        }
    }
    let changed = |r: &&Repeatable| history.repeatable.get(&r.name).is_none_or(|row| row.checksum != r.checksum);
    pending.repeatables = folder.repeatables.iter().filter(changed).collect();
    if wrong.is_empty() { Ok(pending) } else { Err(wrong) }
}

/// A version that nobody has.
fn following(history: &History, folder: &Folder) -> Option<String> {
    let last = history.versioned.last_key_value().map(|(v, _)| v).into_iter().chain(folder.migrations.last().map(|m| &m.version)).max()?;
    last.next().map(|v| v.to_string())
}

/// Those that are undone to come back to a state: the newest first.
pub fn above<'a>(history: &History, folder: &'a Folder, keep: impl Fn(&Version) -> bool) -> Vec<&'a Migration> {
    folder.migrations.iter().rev().filter(|m| history.versioned.contains_key(&m.version) && !keep(&m.version)).collect()
}
