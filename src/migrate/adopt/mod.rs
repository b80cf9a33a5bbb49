//! Taking over the history of another tool: read, verified where it can be, copied. Its own table stays as it is.

mod convert;
mod tools;

pub use self::convert::convert;
pub use self::tools::Tool;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use self::tools::{Foreign, Proof};
use super::apply::Session;
use super::files::{Folder, Migration};
use super::mend::{Mended, write};
use super::version::Version;
use super::{MigrateError, Options, Source, history, schema};
use crate::mistakes::suggestion;
use crate::names::literal;
use crate::ports::postgres::Postgres;

/// What the files are, beside what they say.
pub struct Files<'a> {
    pub folder: &'a Folder,
    /// A file as its bytes are: some tools keep a digest of them.
    pub raw: &'a (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    /// Alembic's revisions: their versions here, and what each one needs.
    pub revisions: &'a BTreeMap<String, (Version, Vec<String>)>,
}

/// Records what another tool has applied. Either all of it, or nothing and why.
pub async fn adopt(server: &Postgres, files: &Files<'_>, wanted: Option<Tool>, options: &Options) -> Result<Mended, MigrateError> {
    let session = Session::begin(server, Source::App, options).await?;
    let mut mended = Mended::default();
    let found = tools::find(&session.client, server, wanted).await?;
    let (tool, table) = match found.as_slice() {
        [one] => one.clone(),
        [] => {
            let what = wanted.map_or_else(|| "another tool".to_owned(), |tool| tool.word().to_owned());
            mended.left.push(format!("there is no history of {what} in this database"));
            return Ok(mended);
        }
        several => {
            let names: Vec<String> = several.iter().map(|(tool, table)| format!("{} ({table})", tool.word())).collect();
            mended.left.push(format!("there is more than one history: {}; name the one to take over", names.join(", ")));
            return Ok(mended);
        }
    };
    let foreign = match tools::read(&session.client, server, tool, &table, files).await? {
        Ok(foreign) => foreign,
        Err(why) => {
            mended.left.push(why);
            return Ok(mended);
        }
    };
    let known = &session.known;
    let mut sql = String::from("begin");
    if foreign.is_empty() {
        mended.done.push(format!("the history of {} is empty: nothing is applied", tool.word()));
    }
    let mut seen = BTreeSet::new();
    for row in &foreign {
        if !seen.insert(&row.version) {
            mended.left.push(format!("{} has version {} twice", tool.word(), row.version));
            continue;
        }
        match matching(files, tool, row) {
            Err(why) => mended.left.push(why),
            Ok(m) if known.versioned.contains_key(&m.version) => {}
            Ok(m) => {
                sql.push_str(&format!("; {}", insert(m, row, tool, options)));
                mended.done.push(format!("{} is recorded as applied by {}{}", m.id(), tool.word(), row.proof.words()));
            }
        }
    }
    if !mended.left.is_empty() {
        mended.done = vec![];
        return Ok(mended);
    }
    let any = !mended.done.is_empty();
    write(&session, &sql).await?;
    if any {
        let known = history::read(&session.client, server, Source::App).await?;
        schema::record(&session.client, server, known.head().map(|row| row.version.as_str()), Source::App.word()).await?;
    }
    session.end().await;
    Ok(mended)
}

/// The file of a row, if it is the one that was applied.
fn matching<'a>(files: &Files<'a>, tool: Tool, row: &Foreign) -> Result<&'a Migration, String> {
    let Some(migration) = files.folder.find(&row.version) else {
        let known: Vec<&str> = files.folder.migrations.iter().map(|m| m.version.as_str()).collect();
        let help = suggestion(row.version.as_str(), known, "versions");
        return Err(format!("{} has applied version {}, and there is no file for it; {help}", tool.word(), row.version));
    };
    let raw = || (files.raw)(migration.file()).unwrap_or_default();
    if row.proof.holds(&raw) {
        return Ok(migration);
    }
    Err(format!(
        "{} is not the file that {} has applied: its checksum is another; restore it (git log -- '*{}'), or let {} repair its own history first",
        migration.file(),
        tool.word(),
        migration.file(),
        tool.word()
    ))
}

fn insert(m: &Migration, row: &Foreign, tool: Tool, options: &Options) -> String {
    let optional = |text: Option<String>| text.map_or_else(|| "default".into(), |text| literal(&text));
    let run = options.run.as_deref();
    let detail = json!({"tool": tool.word(), "file": m.file(), "verified": !matches!(row.proof, Proof::None)});
    format!(
        "insert into mlops.migration (source, version, name, checksum, meaning, adopted_from, run, applied_at, applied_by, elapsed_ms) \
         values ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}); {}",
        literal(Source::App.word()),
        literal(m.version.as_str()),
        literal(&m.name),
        literal(&m.checksum),
        literal(&m.up.meaning()),
        literal(tool.word()),
        run.map_or_else(|| "null".into(), literal),
        optional(row.applied_at.map(|at| at.to_rfc3339())),
        optional(row.applied_by.clone()),
        row.elapsed_ms.map_or_else(|| "0".into(), |ms| ms.to_string()),
        history::event("import", Source::App, m.version.as_str(), run, &detail),
    )
}
