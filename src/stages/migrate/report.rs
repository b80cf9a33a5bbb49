//! Migrating as outcomes: what was done, then what stopped it.

use crate::migrate::{MigrateError, Run};
use crate::outcome::{Location, Outcome, Status};
use crate::ports::files::Workspace;

/// A run of migrations as outcomes: what was done, then what stopped it.
pub fn outcomes(run: &Run, dir: &str, workspace: &Workspace) -> Vec<Outcome> {
    let done = run.done.iter().map(|applied| {
        let verb = if applied.undone { "undo" } else { "apply" };
        Outcome::new(&applied.id, verb, Status::Passed, format!("{}/{}", dir, applied.file)).took(applied.elapsed).at(Some(Location {
            file: workspace.shown(&format!("{dir}/{}", applied.file)),
            line: 1,
            column: 1,
        }))
    });
    done.chain(run.troubles.iter().map(|trouble| failure(trouble, dir, workspace))).collect()
}

/// What stopped it.
pub fn failure(trouble: &MigrateError, dir: &str, workspace: &Workspace) -> Outcome {
    let status = if trouble.is_verdict() { Status::Failed } else { Status::Broken };
    let (subject, file, line) = match trouble {
        MigrateError::Rejected { version, file, line, .. } => (version.clone(), Some(file), *line),
        MigrateError::Stopped { version, file, line, .. } => (version.clone(), Some(file), Some(*line)),
        MigrateError::Changed { version, file, .. } | MigrateError::Busy { version, file, .. } => (version.clone(), Some(file), None),
        MigrateError::Edited { file, .. }
        | MigrateError::Taken { file, .. }
        | MigrateError::OutOfOrder { file, .. }
        | MigrateError::NoDown { file } => (file.clone(), Some(file), None),
        MigrateError::Gone { version, .. } | MigrateError::Unrecorded { version } | MigrateError::NoVersion { wanted: version, .. } => {
            (version.clone(), None, None)
        }
        MigrateError::Locked { .. } | MigrateError::Server(_) | MigrateError::Pooled | MigrateError::Unsplittable(_) => {
            ("migrate".into(), None, None)
        }
    };
    let location = file.map(|file| Location { file: workspace.shown(&format!("{dir}/{file}")), line: line.unwrap_or(1), column: 1 });
    let place = location.as_ref().filter(|_| line.is_some()).map(|l| format!("{}:{}: ", l.file, l.line)).unwrap_or_default();
    Outcome::new(subject, "apply", status, format!("{place}{trouble}")).at(location)
}
