//! Looking at migrations before they run: what loses data, what stops others, what cannot be undone.
//!
//! The rules about SQL are squawk's; how much a finding weighs comes from the live catalog, which squawk does not know.

mod contract;
mod live;
mod own;
mod remedies;
mod rules;

pub use self::contract::Uses;
pub use self::live::Live;
pub(super) use self::rules::plain;
pub use self::rules::{Class, rule_names};

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use self::live::Size;
use super::files::{Folder, Migration};
use super::script::Script;
use crate::units::count;

/// How a project weighs findings.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Classes and rules.
    pub fail: Vec<String>,
    pub warn: Vec<String>,
    pub off: Vec<String>,
    /// Version → rules that are all right in it.
    pub allow: BTreeMap<String, Vec<String>>,
    /// From how many rows on a table is large.
    pub large_rows: u64,
    /// Tables that are large where it counts, however small they are here.
    pub large_tables: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Self {
            fail: words(&["destructive", "locking", "transaction", "contract"]),
            warn: words(&["compatibility", "undo"]),
            off: vec![],
            allow: BTreeMap::new(),
            large_rows: 100_000,
            large_tables: vec![],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Note,
    Warn,
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub migration: String,
    pub rule: String,
    pub class: Class,
    pub level: Level,
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub remedy: Option<String>,
}

/// What a rule says before it is weighed.
struct Raw {
    rule: String,
    class: Class,
    /// Where in the script's text.
    at: usize,
    message: String,
    remedy: Option<String>,
}

/// Looks at these versions of a folder, up and down, and at every repeatable that is pending.
pub fn lint(
    folder: &Folder,
    versions: &dyn Fn(&Migration) -> bool,
    repeatables: &dyn Fn(&str) -> bool,
    policy: &Policy,
    live: &Live,
    uses: &Uses,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for migration in folder.migrations.iter().filter(|m| versions(m)) {
        let id = migration.id();
        let allowed = policy.allow.iter().find(|(version, _)| super::Version::parse(version).is_some_and(|v| v == migration.version));
        let allowed = allowed.map(|(_, rules)| rules.as_slice()).unwrap_or_default();
        let new = created(&migration.up);
        let weigh = Weigh { id: &id, script: &migration.up, policy, live, new: &new, allowed, down: false };
        let mut raws = squawk(&migration.up, live, policy);
        raws.extend(own::destructive(&migration.up));
        raws.extend(own::undo(migration));
        raws.extend(contract::broken(&migration.up, uses));
        findings.extend(raws.into_iter().map(|raw| weigh.finding(raw)));
        if let Some(down) = &migration.down {
            let weigh = Weigh { script: down, down: true, ..weigh };
            findings.extend(squawk(down, live, policy).into_iter().map(|raw| weigh.finding(raw)));
        }
    }
    for repeatable in folder.repeatables.iter().filter(|r| repeatables(&r.name)) {
        let (id, new) = (repeatable.id(), created(&repeatable.script));
        let weigh = Weigh { id: &id, script: &repeatable.script, policy, live, new: &new, allowed: &[], down: false };
        findings.extend(squawk(&repeatable.script, live, policy).into_iter().map(|raw| weigh.finding(raw)));
    }
    findings.retain(|f| !policy.off.iter().any(|word| word == &f.rule || word == f.class.word()));
    findings
}

struct Weigh<'a> {
    id: &'a str,
    script: &'a Script,
    policy: &'a Policy,
    live: &'a Live,
    /// Tables that this very migration makes.
    new: &'a BTreeSet<String>,
    allowed: &'a [String],
    down: bool,
}

impl Weigh<'_> {
    fn finding(&self, raw: Raw) -> Finding {
        let asked = |words: &[String]| words.iter().any(|word| word == &raw.rule || word == raw.class.word());
        let by_rule = |words: &[String]| words.iter().any(|word| word == &raw.rule);
        let wish = if asked(&self.policy.fail) && !by_rule(&self.policy.warn) {
            Level::Error
        } else if asked(&self.policy.warn) {
            Level::Warn
        } else {
            Level::Note
        };
        let (level, why) = self.weigh(&raw, wish);
        let (line, column) = place(self.script, raw.at);
        let message = if why.is_empty() { raw.message } else { format!("{} ({why})", raw.message) };
        let (migration, file) = (self.id.to_owned(), self.script.file.clone());
        Finding { migration, rule: raw.rule, class: raw.class, level, file, line, column, message, remedy: raw.remedy }
    }

    /// The level, and what made it so.
    fn weigh(&self, raw: &Raw, wish: Level) -> (Level, String) {
        if self.allowed.iter().any(|rule| rule == &raw.rule || rule == raw.class.word()) {
            return (Level::Note, "allowed in mlops.yml".into());
        }
        if self.down && matches!(raw.class, Class::Destructive | Class::Compatibility) {
            return (Level::Note, "a down part takes away what its up part made".into());
        }
        if let (Class::Destructive, Some(reason)) = (raw.class, self.script.reason.as_deref().filter(|r| !r.is_empty())) {
            return (Level::Note, format!("allowed: {reason}"));
        }
        match raw.class {
            // How many rows a table has says nothing about who uses a function.
            _ if rules::is_about_another_object(&raw.rule) => return (wish, String::new()),
            Class::Destructive | Class::Locking | Class::Compatibility => {}
            Class::Transaction | Class::Contract | Class::Undo | Class::Style => return (wish, String::new()),
        }
        let names = statement_names(self.script, raw.at);
        if names.iter().any(|name| self.new.contains(name)) && !names.iter().any(|name| !self.new.contains(name) && self.live.size(name).is_some()) {
            return (Level::Note, "the table is new".into());
        }
        if let Some(table) =
            names.iter().find(|name| self.policy.large_tables.iter().any(|t| t == *name || Some(t.as_str()) == name.rsplit('.').next()))
        {
            return (wish, format!("{table} is listed as large"));
        }
        let largest = names.iter().filter_map(|name| Some((name, self.live.size(name)?))).max_by_key(|(_, size)| (size.bytes, size.rows));
        match largest {
            None if self.live.blind => (wish, String::new()),
            None => (Level::Note, "no such table is here yet".into()),
            Some((name, Size { bytes: 0, .. })) => (Level::Note, format!("{name} is empty")),
            Some((name, size)) => {
                let rows = size.rows.map_or_else(
                    || format!("{} bytes", count(size.bytes)),
                    |rows| format!("about {} rows, {} bytes", count(rows), count(size.bytes)),
                );
                let small = raw.class == Class::Locking && !size.is_large(self.policy.large_rows);
                (if small { wish.min(Level::Warn) } else { wish }, format!("{name} has {rows}"))
            }
        }
    }
}

/// Line and column, from 1.
fn place(script: &Script, at: usize) -> (usize, usize) {
    let before = &script.text[..at.min(script.text.len())];
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (script.line + super::script::line_of(&script.text, at) + 1, column)
}

fn squawk(script: &Script, live: &Live, policy: &Policy) -> Vec<Raw> {
    let wanted: Vec<String> = policy.fail.iter().chain(&policy.warn).cloned().collect();
    rules::run(&script.text, live.server_version.as_deref(), script.transactional, &wanted)
        .into_iter()
        .map(|v| Raw { rule: v.rule, class: v.class, at: v.at, message: v.message, remedy: v.remedy })
        .collect()
}

/// Names in the statement at a place, as the catalog spells them.
fn statement_names(script: &Script, at: usize) -> Vec<String> {
    rules::statement_at(&script.text, at).map(|text| rules::names(&text)).unwrap_or_default()
}

/// Tables that a script makes.
fn created(script: &Script) -> BTreeSet<String> {
    let made = own::made(script).into_iter().filter(|m| m.kind == "table" || m.kind == "materialized view");
    made.flat_map(|m| [m.name.rsplit('.').next().unwrap_or_default().to_owned(), m.name]).collect()
}
