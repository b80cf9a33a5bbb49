//! `mlops migrate up | down [N] | status`: the migrations alone, with the history of `run`.

use super::{Failure, Outcome, Shell, say};
use crate::cli::MigrateVerb;
use crate::migrate::{Migration, Run, Source, StatusRow, down, status, up};
use crate::mistakes::Mistakes;
use crate::outcome::{Status, exit};
use crate::ports::files::Workspace;
use crate::ports::postgres::Postgres;
use crate::stages::{Migrate, migration_outcomes};

pub(super) async fn migrate(shell: &Shell, verb: &MigrateVerb) -> Outcome {
    let loaded = shell.load(&[])?;
    let url = &loaded.config.core.database.url;
    if url.is_empty() {
        return Err(Failure::usage("database.url is empty: there is no database to migrate"));
    }
    let Some(section) = loaded.config.section("migrate").and_then(|node| node.decode::<Migrate>(&mut Mistakes::default())) else {
        return Err(Failure::usage(format!("{}: there is no section `migrate`", shell.global.config.display())));
    };
    let migrations = section.load(&loaded.workspace)?.map_err(|mistakes| Failure::usage(mistakes.join("\n")))?;
    let waiting = |why: &str| tracing::info!("waiting for the database: {why}");
    let server = Postgres::connect(&loaded.address(url), waiting).await.map_err(Failure::broken)?;
    match verb {
        MigrateVerb::Up => Ok(told(shell, &up(&server, Source::App, &migrations, section.options()).await, &section, &loaded.workspace, "apply")),
        MigrateVerb::Down { steps } => {
            Ok(told(shell, &down(&server, Source::App, &migrations, *steps, section.options()).await, &section, &loaded.workspace, "undo"))
        }
        MigrateVerb::Status => show(shell, &server, &migrations).await,
    }
}

/// What was done and what stopped it; the exit code follows.
fn told(shell: &Shell, run: &Run, section: &Migrate, workspace: &Workspace, verb: &str) -> u8 {
    let outcomes = migration_outcomes(run, &section.dir, workspace, verb);
    if shell.json() {
        say(&format!("{:#}\n", serde_json::json!({"head": run.head, "outcomes": outcomes})));
    } else {
        for o in &outcomes {
            say(&format!("{} {}: {}\n", o.status.word(), o.subject, o.message));
        }
        say(&format!("at version {}\n", run.head.as_deref().unwrap_or("0 (nothing applied)")));
    }
    match outcomes.iter().map(|o| o.status).max() {
        Some(Status::Failed) => exit::FAILED,
        Some(Status::Broken) => exit::BROKEN,
        _ => exit::PASSED,
    }
}

async fn show(shell: &Shell, server: &Postgres, migrations: &[Migration]) -> Outcome {
    let rows = status(server, Source::App, migrations).await.map_err(Failure::broken)?;
    if shell.json() {
        let row = |r: &StatusRow| serde_json::json!({"migration": r.id, "applied_at": r.applied_at});
        say(&format!("{:#}\n", rows.iter().map(row).collect::<serde_json::Value>()));
    } else {
        for row in rows {
            say(&format!("{}  {}\n", row.applied_at.as_deref().unwrap_or("pending            "), row.id));
        }
    }
    Ok(exit::PASSED)
}
