//! `mlops check --explain` and `mlops data profile`: the data gates, looked at from outside a run.

use std::collections::BTreeMap;

use super::load::Loaded;
use super::{Failure, Outcome, Shell, say};
use crate::checks::{self, Gates, Selection, Setting};
use crate::cli::SelectArgs;
use crate::mistakes::Mistakes;
use crate::names::TableName;
use crate::outcome::exit;

impl SelectArgs {
    /// GitLab's `parallel:` numbers its jobs, from 1.
    pub(super) fn selection(&self, env: &BTreeMap<String, String>) -> Result<Selection, Failure> {
        let filled = |words: &[String]| words.iter().map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect();
        let shard = match self.shard.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Some(Selection::shard(text).map_err(|why| Failure::usage(format!("--shard: {why}")))?),
            None => match (env.get("CI_NODE_INDEX"), env.get("CI_NODE_TOTAL")) {
                (Some(part), Some(of)) if of != "1" => Some(Selection::shard(&format!("{part}/{of}")).map_err(Failure::usage)?),
                _ => None,
            },
        };
        Ok(Selection { only: filled(&self.only), tags: filled(&self.tags), shard })
    }
}

fn gates(loaded: &Loaded, shell: &Shell) -> Result<Gates, Failure> {
    let section = loaded.config.section("gates.data");
    let missing = || Failure::usage(format!("{}: there is no section `gates.data`", shell.global.config.display()));
    // The file has been found to be right before.
    Ok(checks::parse(section.ok_or_else(missing)?, &shell.global.config.display().to_string(), &mut Mistakes::default()))
}

pub(super) async fn explain(shell: &Shell, select: &SelectArgs) -> Outcome {
    let loaded = shell.load(&[])?;
    let mut gates = gates(&loaded, shell)?;
    gates.select(&select.selection(&shell.env)?).map_err(Failure::usage)?;
    let server = loaded.server("ask").await?;
    let read = |path: &str| loaded.workspace.read_text(path).map_err(|e| e.to_string());
    let setting = Setting { pool: loaded.config.core.database.pool, read: &read, history: BTreeMap::new() };
    say(&checks::explain(&server, &gates, &setting).await.map_err(Failure::broken)?);
    Ok(exit::PASSED)
}

pub(super) async fn profile(shell: &Shell, tables: &[String], out: &str) -> Outcome {
    let loaded = shell.load(&[])?;
    let gates = match loaded.config.section("gates.data") {
        Some(_) => gates(&loaded, shell)?,
        None => Gates::default(),
    };
    let named = tables.iter().map(|table| TableName::parse(table).map_err(Failure::usage)).collect::<Result<Vec<_>, _>>()?;
    let all = if named.is_empty() { gates.tables.iter().map(|t| t.table.clone()).collect() } else { named };
    if all.is_empty() {
        return Err(Failure::usage("there is no table to look at: name one, or write `gates.data`"));
    }
    let server = loaded.server("look at").await?;
    let profile = checks::profile(&server, &gates, &all).await.map_err(Failure::broken)?.map_err(Failure::usage)?;
    let text = profile.write().map_err(Failure::broken)?;
    let changed = loaded.workspace.write(out, text.as_bytes()).map_err(Failure::broken)?;
    say(&format!("{out}: {}{}\n", crate::units::counted(profile.tables.len() as u64, "table"), if changed { "" } else { ", unchanged" }));
    Ok(exit::PASSED)
}
