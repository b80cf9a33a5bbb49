//! The history of another tool, and what a merge would break.

use std::collections::BTreeMap;
use std::path::Path;

use super::mend::told;
use super::{Failure, Migrations, Outcome, Shell};
use crate::commands::tell::tell;
use crate::migrate::{self, Adoptable, Folder, Tool, Version};
use crate::ports::alembic;
use crate::ports::git::Git;
use crate::stages::migration_failure;

pub(super) async fn import(shell: &Shell, mut all: Migrations, tool: Option<&str>, ini: &Path) -> Outcome {
    let tool: Option<Tool> = tool.map(str::parse).transpose().map_err(Failure::usage)?;
    let ini = shell.beside_config(ini);
    let mut mended = migrate::Mended::default();
    let mut revisions = BTreeMap::new();
    // Files first: what cannot be written as SQL is not taken over.
    if tool == Some(Tool::Alembic) || (tool.is_none() && ini.is_file()) {
        if !ini.is_file() {
            return Err(Failure::usage(format!("{}: no such file; name Alembic's settings with --ini", ini.display())));
        }
        revisions = convert(shell, &mut all, &ini, &mut mended)?;
    }
    if !all.has_server() && !mended.done.is_empty() {
        mended.done.push("no database is given: the history is taken over by the next import that has one".into());
        return Ok(told(shell, &mended, ""));
    }
    let server = all.server().await?;
    let raw = |file: &str| all.loaded.workspace.read(&format!("{}/{file}", all.section.dir)).ok();
    let files = Adoptable { folder: &all.folder, raw: &raw, revisions: &revisions };
    let adopted = migrate::adopt(&server, &files, tool, &all.options).await.map_err(Failure::broken)?;
    mended.done.extend(adopted.done);
    mended.left.extend(adopted.left);
    Ok(told(shell, &mended, "its history is recorded already: nothing to do"))
}

/// Alembic's revisions as files of the folder; of each, its version and what it needs.
fn convert(
    shell: &Shell,
    all: &mut Migrations,
    ini: &Path,
    mended: &mut migrate::Mended,
) -> Result<BTreeMap<String, (Version, Vec<String>)>, Failure> {
    let path = shell.env.get("PATH").map(String::as_str).unwrap_or_default();
    let environment = alembic::read(ini, path).map_err(Failure::broken)?;
    let converted = migrate::convert(&environment, &all.folder);
    // The way back first: a revision counts as written once its way up is there.
    let (down, up): (Vec<_>, Vec<_>) = converted.files.iter().partition(|(name, _)| name.ends_with(".down.sql"));
    for (name, text) in down.into_iter().chain(up) {
        let path = format!("{}/{name}", all.section.dir);
        all.loaded.workspace.write(&path, text.as_bytes()).map_err(Failure::broken)?;
        mended.done.push(format!("{path} is written"));
    }
    mended.done.extend(converted.notes);
    all.folder = all.section.load(&all.loaded.workspace)?.map_err(|mistakes| Failure::broken(mistakes.join("\n")))?;
    Ok(converted.revisions)
}

pub(super) fn check(shell: &Shell, all: &Migrations, base: &str) -> Outcome {
    let git = Git::at(&all.loaded.workspace.path_of_folder());
    let tip = git.commit(base).map_err(Failure::broken)?;
    let folder = |commit: &str| -> Result<Folder, Failure> {
        let ours: Vec<&str> = all.folder.migrations.iter().map(migrate::Migration::file).collect();
        let files = git.files(commit, &all.section.dir, &ours).map_err(Failure::broken)?;
        let vars = migrate::Vars(all.section.vars.clone());
        migrate::parse(&files, &vars).map_err(|mistakes| Failure::broken(format!("{base}: {}", mistakes.join("\n"))))
    };
    let parted = match git.merge_base("HEAD", &tip).map_err(Failure::broken)? {
        Some(commit) => folder(&commit)?,
        // All that the other branch has counts as gone out.
        None => folder(&tip)?,
    };
    let wrong = migrate::against(&all.folder, &folder(&tip)?, &parted, &all.options);
    let outcomes: Vec<_> = wrong.iter().map(|trouble| migration_failure(trouble, &all.section.dir, &all.loaded.workspace)).collect();
    Ok(tell(shell, &outcomes, &format!("nothing stands in the way of a merge into {base}")))
}
