//! What is applied, what would be, and what changed by hand.

use super::{Failure, Migrations, Outcome, Shell, say};
use crate::migrate::{self, Source, Status};
use crate::outcome::exit;

pub(super) async fn status(shell: &Shell, all: &Migrations) -> Outcome {
    let server = all.server().await?;
    let rows = migrate::status(&server, Source::App, &all.folder).await.map_err(Failure::broken)?;
    let invalid = migrate::invalid_indexes(&server).await.map_err(Failure::broken)?;
    if shell.json() {
        say(&format!("{:#}\n", serde_json::json!({"migrations": rows, "invalid_indexes": invalid})));
        return Ok(exit::PASSED);
    }
    for row in rows {
        let when = row.applied_at.as_deref().unwrap_or("pending            ");
        let word = match row.status {
            Status::Applied | Status::Pending => "",
            Status::Unfinished => "  stopped half-way",
            Status::Edited => "  edited since",
            Status::Missing => "  its file is gone",
            Status::OutOfOrder => "  older than the last one applied",
        };
        let who = [row.applied_by, row.run].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let took = row.elapsed_ms.map(|ms| format!("  {ms:.0} ms by {who}")).unwrap_or_default();
        let adopted = row.adopted_from.map(|from| format!(" ({from})")).unwrap_or_default();
        say(&format!("{when}  {}{word}{took}{adopted}\n", row.migration));
    }
    for index in invalid {
        say(&format!("invalid index {} on {}: {}\n", index.index, index.table, index.remedy));
    }
    Ok(exit::PASSED)
}

pub(super) async fn plan(shell: &Shell, all: &Migrations) -> Outcome {
    let server = all.server().await?;
    let outlook = migrate::outlook(&server, &all.folder, &all.options).await.map_err(Failure::broken)?;
    let troubles: Vec<String> = outlook.troubles.iter().map(ToString::to_string).collect();
    if shell.json() {
        let mut json = serde_json::to_value(&outlook).map_err(Failure::broken)?;
        json["troubles"] = serde_json::json!(troubles);
        say(&format!("{json:#}\n"));
    } else {
        say(&format!("at version {}\n", outlook.head.as_deref().unwrap_or("0 (nothing applied)")));
        for step in &outlook.steps {
            let how = if step.transaction { "in a transaction" } else { "statement by statement" };
            let on = step.resumes_after.map(|n| format!(", goes on after statement {n}")).unwrap_or_default();
            let back = if step.can_be_undone { "" } else { "; cannot be undone" };
            say(&format!("apply {} ({}) {how}{on}{back}\n", step.migration, step.file));
        }
        if outlook.steps.is_empty() && troubles.is_empty() {
            say("up to date: nothing to do\n");
        }
        for index in &outlook.invalid_indexes {
            say(&format!("warning: invalid index {} on {}: {}\n", index.index, index.table, index.remedy));
        }
        for trouble in &troubles {
            say(&format!("failed {trouble}\n"));
        }
    }
    Ok(if troubles.is_empty() { exit::PASSED } else { exit::FAILED })
}

pub(super) async fn drift(shell: &Shell, all: &Migrations) -> Outcome {
    let server = all.server().await?;
    let Some(drift) = migrate::drift(&server).await.map_err(Failure::broken)? else {
        return Err(Failure::broken("no schema is recorded yet: `mlops migrate up` (or `stamp`) records it"));
    };
    if shell.json() {
        say(&format!("{:#}\n", serde_json::to_value(&drift).map_err(Failure::broken)?));
    } else {
        let version = drift.version.as_deref().unwrap_or("0");
        match drift.changes.len() {
            0 => say(&format!("the schema is as version {version} left it on {}\n", drift.recorded_at)),
            n => say(&format!("{} changed by hand since version {version} ({}):\n", crate::units::counted(n as u64, "object"), drift.recorded_at)),
        }
        drift.changes.iter().for_each(|change| say(&format!("{change}\n")));
    }
    Ok(if drift.changes.is_empty() { exit::PASSED } else { exit::FAILED })
}
