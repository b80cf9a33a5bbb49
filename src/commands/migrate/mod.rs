//! `mlops migrate …`: the migrations alone, with the history of `run`.

mod apply;
mod gate;
mod import;
mod mend;
mod show;
mod write;

use super::load::Loaded;
use super::{Failure, Outcome, Shell, say};
use crate::cli::MigrateVerb;
use crate::migrate::{Folder, Goal, Options, Version};
use crate::mistakes::Mistakes;
use crate::ports::postgres::Postgres;
use crate::stages::Migrate;

/// The section and the folder, before any server is asked.
struct Migrations {
    loaded: Loaded,
    section: Migrate,
    folder: Folder,
    options: Options,
}

pub(super) async fn migrate(shell: &Shell, verb: &MigrateVerb) -> Outcome {
    let (loaded, section) = open(shell)?;
    if matches!(verb, MigrateVerb::Up)
        && let Some(code) = apply::nothing_to_do(shell, &loaded, &section).await?
    {
        return Ok(code);
    }
    let all = read(shell, loaded, section, matches!(verb, MigrateVerb::Import { .. } | MigrateVerb::New { .. }))?;
    match verb {
        MigrateVerb::Up => apply::go(shell, &all, &Goal::Up).await,
        MigrateVerb::Down { steps, to: None } => apply::go(shell, &all, &Goal::Down(*steps)).await,
        MigrateVerb::Down { to: Some(to), .. } => apply::go(shell, &all, &apply::below(to)?).await,
        MigrateVerb::To { version } => apply::go(shell, &all, &apply::goal(version)?).await,
        MigrateVerb::Status => show::status(shell, &all).await,
        MigrateVerb::Plan => show::plan(shell, &all).await,
        MigrateVerb::Lint { all: every } => gate::lint(shell, &all, *every).await,
        MigrateVerb::Verify { all: every } => gate::verify(shell, &all, *every).await,
        MigrateVerb::Drift => show::drift(shell, &all).await,
        MigrateVerb::Sql { from, to, down } => write::sql(shell, &all, from.as_deref(), to.as_deref(), *down),
        MigrateVerb::New { name, repeatable, timestamp } => write::new(shell, &all, name, *repeatable, *timestamp),
        MigrateVerb::Import { tool, ini } => import::import(shell, all, tool.as_deref(), ini).await,
        MigrateVerb::Check { base } => import::check(shell, &all, base),
        MigrateVerb::Stamp { version } => mend::stamp(shell, &all, version).await,
        MigrateVerb::Repair { version, force, done, redo, forget } => {
            let what = match (done, redo, forget) {
                (Some(statement), ..) => mend::Repair::Done(*statement),
                (_, Some(statement), _) => mend::Repair::Redo(*statement),
                (.., true) => mend::Repair::Forget,
                _ => mend::Repair::Text { force: *force },
            };
            mend::repair(shell, &all, version.as_deref(), what).await
        }
    }
}

fn open(shell: &Shell) -> Result<(Loaded, Migrate), Failure> {
    let loaded = shell.load(&[])?;
    let Some(section) = loaded.config.section("migrate").and_then(|node| node.decode::<Migrate>(&mut Mistakes::default())) else {
        return Err(Failure::usage(format!("{}: there is no section `migrate`", shell.global.config.display())));
    };
    Ok((loaded, section))
}

/// `first`: the folder may still have to be made.
fn read(shell: &Shell, loaded: Loaded, section: Migrate, first: bool) -> Result<Migrations, Failure> {
    let shown = |mistakes: Vec<String>| mistakes.into_iter().map(|m| format!("{}/{m}", section.dir)).collect::<Vec<_>>().join("\n");
    let missing = first && loaded.workspace.path(&section.dir).is_ok_and(|dir| !dir.exists());
    let read = if missing { Ok(Folder::default()) } else { section.load(&loaded.workspace)? };
    let folder = read.map_err(|mistakes| Failure::usage(shown(mistakes)))?;
    let options = options(shell, &section);
    Ok(Migrations { loaded, section, folder, options })
}

fn options(shell: &Shell, section: &Migrate) -> Options {
    section.options(shell.ci().run_url.or_else(|| shell.env.get("USER").cloned()))
}

impl Migrations {
    fn has_server(&self) -> bool {
        !self.loaded.config.core.database.url.is_empty()
    }

    async fn server(&self) -> Result<Postgres, Failure> {
        self.loaded.server("migrate").await
    }

    fn version(&self, text: &str) -> Result<Version, Failure> {
        let version = if text == "head" { self.folder.migrations.last().map(|m| m.version.clone()) } else { Version::parse(text) };
        version.ok_or_else(|| Failure::usage(format!("`{text}` is no version: give its number, or `head`")))
    }
}
