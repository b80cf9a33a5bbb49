//! `mlops model …`: the registry.

mod change;
mod exchange;
mod export;
mod register;
mod show;
mod trace;

use super::load::Loaded;
use super::{Failure, Outcome, Shell, say, tell};
use crate::cli::ModelVerb;
use crate::outcome::exit;
use crate::ports::postgres::{Connection, Postgres};
use crate::registry::{Registry, RegistryError, Which};
use crate::stages::own_tables;
use crate::stages::registry::Around;

/// The file, the registry's server, and which model is meant.
struct Opened<'a> {
    shell: &'a Shell,
    loaded: Loaded,
    server: Postgres,
    client: Connection,
    name: Option<String>,
}

pub(super) async fn model(shell: &Shell, name: Option<String>, verb: ModelVerb) -> Outcome {
    if let ModelVerb::Register { report } = verb {
        return register::register(shell, name.as_deref(), report.as_deref()).await;
    }
    let creates = matches!(verb, ModelVerb::Adopt { dry_run: false, .. });
    let opened = open(shell, name, creates).await?;
    match verb {
        ModelVerb::Register { .. } => unreachable!("handled above"),
        ModelVerb::List { limit, all, models } => show::list(&opened, limit, all, models).await,
        ModelVerb::Show { version } => show::show(&opened, &version).await,
        ModelVerb::Search { conditions, limit, everywhere } => show::search(&opened, &conditions, limit, everywhere).await,
        ModelVerb::Current { stage, print } => show::current(&opened, stage.as_deref(), print).await,
        ModelVerb::History { stage, limit } => show::history(&opened, stage.as_deref(), limit).await,
        ModelVerb::Compare { one, other } => show::compare(&opened, &one, &other).await,
        ModelVerb::Verify { no_artifacts, head } => show::verify(&opened, !no_artifacts, head.as_deref()).await,
        ModelVerb::Promote { version, to, expect_current, how } => change::promote(&opened, &version, to, expect_current.as_deref(), how).await,
        ModelVerb::Rollback { stage, to, how } => change::rollback(&opened, &stage, to.as_deref(), how).await,
        ModelVerb::Approve { version, stage, reason } => change::say_of(&opened, &version, &stage, true, reason.as_deref()).await,
        ModelVerb::Reject { version, stage, reason } => change::say_of(&opened, &version, &stage, false, Some(&reason)).await,
        ModelVerb::Quarantine { version, reason } => change::mark(&opened, &version, crate::registry::Mark::Quarantined, &reason).await,
        ModelVerb::Deprecate { version, reason } => change::mark(&opened, &version, crate::registry::Mark::Deprecated, &reason).await,
        ModelVerb::Release { version, reason } => change::release(&opened, &version, reason.as_deref()).await,
        ModelVerb::Fetch { version, to } => exchange::fetch(&opened, &version, &to).await,
        ModelVerb::Adopt { schema, dry_run } => exchange::adopt(&opened, &schema, dry_run).await,
        ModelVerb::Sync { check, all } => exchange::sync(&opened, check, all).await,
        ModelVerb::Trace { version, deployment, dataset, commit, mermaid } => {
            let of = match (deployment, dataset, commit) {
                (Some(id), ..) => trace::Of::Deployment(id),
                (_, Some(dataset), _) => trace::Of::Dataset(dataset),
                (.., Some(commit)) => trace::Of::Commit(commit),
                _ => trace::Of::Version(version),
            };
            trace::trace(&opened, &of, mermaid).await
        }
        ModelVerb::Export { version, form, key } => export::export(&opened, &version, form, key.as_deref()).await,
    }
}

/// `creates`: where there is no registry yet, it is made.
async fn open(shell: &Shell, name: Option<String>, creates: bool) -> Result<Opened<'_>, Failure> {
    let loaded = shell.load(&[])?;
    let url = Some(&loaded.registry.url).filter(|url| !url.is_empty()).unwrap_or(&loaded.config.core.database.url);
    if url.is_empty() {
        return Err(Failure::usage("there is no registry: set `registry.url`, or `database.url`, in whose database it is otherwise"));
    }
    let server = Postgres::connect(&loaded.address(url), |why| tracing::info!("waiting for the registry: {why}")).await.map_err(Failure::broken)?;
    let client = server.client().await.map_err(Failure::broken)?;
    let there = client.query_typed("select to_regclass('mlops.version_mlflow') is not null", &[]).await;
    let there = there.map_err(|e| Failure::broken(server.error("looking for the registry", &e)))?;
    if !there.first().is_some_and(|row| row.get(0)) {
        // An older registry is brought up to date; where there is none, looking makes none.
        let older = client.query_typed("select to_regclass('mlops.model') is not null", &[]).await;
        let older = older.map_err(|e| Failure::broken(server.error("looking for the registry", &e)))?;
        if !creates && !older.first().is_some_and(|row| row.get(0)) {
            let what = format!("there is no registry in {} yet: the first `mlops run` with a section `model` makes it", server.endpoint());
            return Err(Failure::failed(what));
        }
        own_tables(&server).await.map_err(Failure::broken)?;
    }
    let name = name.or_else(|| loaded.model().map(|model| model.name.to_string()));
    Ok(Opened { shell, loaded, server, client, name })
}

impl Opened<'_> {
    fn registry(&self) -> Registry<'_> {
        Registry::new(&self.server, &self.client)
    }

    fn model(&self) -> Result<&str, Failure> {
        self.name.as_deref().ok_or_else(|| Failure::usage("which model? mlops.yml has no section `model`: name it with --model"))
    }

    fn around(&self) -> Result<Around<'_>, Failure> {
        let core = &self.loaded.config.core;
        Ok(Around::new(&core.project, &self.loaded.registry, &self.loaded.workspace, &self.shell.env, &self.shell.ci())?)
    }

    async fn version(&self, text: &str) -> Result<crate::registry::Version, Failure> {
        Which::parse(text).find(&self.registry(), self.model()?).await.map_err(failure)
    }
}

/// What was refused is a verdict; what is not there was named wrongly.
fn failure(error: RegistryError) -> Failure {
    match error {
        RegistryError::Refused(refusals) => Failure::failed(refusals.to_string()),
        RegistryError::Unknown(why) => Failure::usage(why),
        other => Failure::broken(other),
    }
}

/// A refusal in words, or as JSON with its reasons.
fn refused(opened: &Opened<'_>, error: RegistryError) -> Outcome {
    match error {
        RegistryError::Refused(refusals) if opened.shell.json() => {
            say(&format!("{:#}\n", serde_json::json!({"refused": refusals, "exit_code": exit::FAILED})));
            Ok(exit::FAILED)
        }
        RegistryError::Refused(refusals) => Err(Failure::failed(format!("refused: {refusals}"))),
        other => Err(failure(other)),
    }
}

/// Columns under their heads, as wide as they must be.
fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).chain([heads[at].chars().count()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count()))).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    std::iter::once(line(&heads)).chain(rows.iter().map(|row| line(row))).collect()
}
