//! Before anything is applied: lint, and up, down, up on a scratch database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::super::env::own_tables;
use super::Migrate;
use super::report::failure;
use crate::migrate::lint::{self, Finding, Level, Live, Uses};
use crate::migrate::{self, Folder, MigrateError, Migration, Options, Trip};
use crate::outcome::{Location, Outcome, Status, Table};
use crate::ports::files::Workspace;
use crate::ports::postgres::scratch::{Binaries, Scratch};
use crate::ports::postgres::{Address, Postgres};
use crate::registry::{self, Registry};
use crate::seed::{self, Task};
use crate::units::counted;

/// What the migrations are seen against: the rows that are seeded, and who reads which columns.
#[derive(Debug, Clone, Default)]
pub struct Around {
    pub seeds: Vec<Task>,
    /// Dataset → its query, or its table.
    pub datasets: BTreeMap<String, String>,
    pub registry: Option<Address>,
    pub binaries: Option<Binaries>,
}

/// The gate in front of a folder's new migrations.
pub struct Gate<'a> {
    pub section: &'a Migrate,
    pub folder: &'a Folder,
    pub options: &'a Options,
    pub workspace: &'a Workspace,
    pub around: &'a Around,
}

/// The name of what came of trying a migration.
const ROUND_TRIP: &str = "round trip";

/// Versions, and names of repeatables.
type New = (BTreeSet<String>, BTreeSet<String>);

impl Gate<'_> {
    /// Findings about what is pending, and what came of trying it where the section asks for that.
    pub(super) async fn examine(&self, server: &Postgres) -> anyhow::Result<(Vec<Outcome>, Option<Table>)> {
        // Where files and history disagree, applying says so.
        let Ok(new) = migrate::new_ones(server, self.folder, self.options).await? else { return Ok((Vec::new(), None)) };
        let mut outcomes = self.lint(Some(server), &Live::read(server).await?, &new).await?;
        let passed = !outcomes.iter().any(|o| matches!(o.status, Status::Failed | Status::Broken));
        let mut locks = BTreeMap::new();
        if self.section.round_trip && passed && !new.0.is_empty() {
            let (tried, found) = self.trip(server, &new).await?;
            outcomes.extend(tried);
            locks = found;
        }
        let table = self.table(&new, &outcomes, &locks);
        Ok((outcomes, table))
    }

    /// What is pending, side by side with what was found out about it.
    fn table(&self, new: &New, outcomes: &[Outcome], locks: &BTreeMap<String, String>) -> Option<Table> {
        let versioned = self.folder.migrations.iter().filter(|m| new.0.contains(m.version.as_str())).map(Migration::id);
        let repeatable = self.folder.repeatables.iter().filter(|r| new.1.contains(&r.name)).map(migrate::Repeatable::id);
        let row = |id: String| {
            let about = |name: &str| outcomes.iter().find(|o| o.subject == id && o.name == name);
            let found = outcomes.iter().filter(|o| o.subject == id && !["lint", ROUND_TRIP].contains(&o.name.as_str()));
            let line = |o: &Outcome| o.location.as_ref().map(|l| format!(" (line {})", l.line)).unwrap_or_default();
            let findings = found.map(|o| format!("{}: {}{}", o.status.word(), o.name, line(o)));
            let notes = about("lint").map(|o| o.message.clone());
            let lint = findings.chain(notes).collect::<Vec<_>>().join(", ");
            let trip = about(ROUND_TRIP).map_or_else(|| "not tried".into(), |o| format!("{}: {}", o.status.word(), o.message));
            vec![id.clone(), lint, trip, locks.get(&id).cloned().unwrap_or_else(|| "not observed".into())]
        };
        let rows: Vec<Vec<String>> = versioned.chain(repeatable).map(row).collect();
        let columns = ["migration", "lint", ROUND_TRIP, "locks"].map(str::to_owned).to_vec();
        (!rows.is_empty()).then(|| Table { title: "Pending migrations".into(), columns, rows })
    }

    /// A finding that weighs something is an outcome of its own; the notes of a migration are one together.
    pub async fn lint(&self, server: Option<&Postgres>, live: &Live, new: &New) -> anyhow::Result<Vec<Outcome>> {
        let uses = Uses::new(&self.around.datasets, &readers(server, self.around).await?);
        let (versions, repeatables) = (|m: &Migration| new.0.contains(m.version.as_str()), |name: &str| new.1.contains(name));
        let findings = lint::lint(self.folder, &versions, &repeatables, &self.section.lint.policy(), live, &uses);
        let mut notes: BTreeMap<String, Vec<&Finding>> = self.folder.migrations.iter().filter(|m| versions(m)).map(|m| (m.id(), vec![])).collect();
        let mut outcomes = Vec::new();
        for finding in &findings {
            let status = match finding.level {
                Level::Error => Status::Failed,
                Level::Warn => Status::Warned,
                Level::Note => {
                    notes.entry(finding.migration.clone()).or_default().push(finding);
                    continue;
                }
            };
            let file = self.shown(&finding.file);
            let message = format!("{file}:{}: {}", finding.line, finding.message);
            let outcome = Outcome::new(&finding.migration, &finding.rule, status, message).with_remedy(finding.remedy.clone());
            outcomes.push(outcome.at(Some(Location { file, line: finding.line, column: finding.column })));
        }
        for version in self.section.lint.allow.keys() {
            let known = self.folder.migrations.iter().any(|m| migrate::Version::parse(version).is_some_and(|v| v == m.version));
            if !known {
                let message = format!("`migrate.lint.allow` names version {version}, which is not there");
                outcomes.push(Outcome::new(&*self.section.dir, "lint", Status::Failed, message));
            }
        }
        for (id, notes) in notes {
            let message = if notes.is_empty() { "nothing to say".into() } else { counted(notes.len() as u64, "note") };
            let remedy = |f: &Finding| f.remedy.as_ref().map(|r| format!("; {r}")).unwrap_or_default();
            let line = |f: &&Finding| format!("{}:{} {}: {}{}", f.file, f.line, f.rule, f.message, remedy(f));
            outcomes.push(Outcome::new(id, "lint", Status::Passed, message).with_evidence(notes.iter().map(line)));
        }
        Ok(outcomes)
    }

    /// Up, down and up again on a scratch database.
    pub async fn try_out(&self, server: &Postgres, new: &New) -> anyhow::Result<Vec<Outcome>> {
        Ok(self.trip(server, new).await?.0)
    }

    /// With the locks that each migration held, in words.
    async fn trip(&self, server: &Postgres, new: &New) -> anyhow::Result<(Vec<Outcome>, BTreeMap<String, String>)> {
        let Some(binaries) = &self.around.binaries else { anyhow::bail!("nothing says where a scratch database could be") };
        let started = Instant::now();
        let scratch = Scratch::make(server, binaries).await?;
        // Now: while migrations are tried, the lock is theirs.
        own_tables(&scratch.server).await?;
        let fill = async |scratch: &Postgres| {
            let mut seeds = self.around.seeds.clone();
            // A seed that fits only the new schema is left out, and so is one that fails.
            while let Err((target, _)) = seed::load(scratch, self.workspace, &seeds, &seed::Options::default()).await {
                let before = seeds.len();
                seeds.retain(|task| task.target() != target);
                if seeds.len() == before {
                    break;
                }
            }
        };
        let is_new = |m: &Migration| new.0.contains(m.version.as_str());
        let result = migrate::round_trip(&scratch.server, self.folder, &is_new, self.options, fill).await;
        if let Err(error) = scratch.end().await {
            tracing::warn!("{error}");
        }
        let elapsed = started.elapsed();
        Ok(match result {
            Ok(trips) => {
                let took = elapsed / u32::try_from(trips.len()).unwrap_or(1).max(1);
                let locks = |trip: &Trip| (trip.migration.clone(), held(trip));
                (trips.iter().map(|trip| self.tried(trip).took(took)).collect(), trips.iter().map(locks).collect())
            }
            Err(error) => (vec![self.refused(&error)], BTreeMap::new()),
        })
    }

    fn shown(&self, file: &str) -> String {
        self.workspace.shown(&format!("{}/{file}", self.section.dir))
    }

    fn refused(&self, error: &MigrateError) -> Outcome {
        let mut outcome = failure(error, &self.section.dir, self.workspace);
        outcome.name = ROUND_TRIP.into();
        outcome.message = format!("on a scratch database: {}", outcome.message);
        outcome
    }

    fn tried(&self, trip: &Trip) -> Outcome {
        let (mut evidence, mut remedy): (Vec<String>, Option<String>) = (Vec::new(), None);
        let (status, message) = if !trip.not_undone.is_empty() && !trip.is_exact() {
            evidence.extend(trip.not_undone.iter().map(ToString::to_string));
            (Status::Failed, format!("{} does not bring the schema back as it was", trip.down_file))
        } else if !trip.is_exact() {
            evidence.extend(trip.not_repeated.iter().map(ToString::to_string));
            (Status::Failed, "applied a second time it makes another schema".into())
        } else if let (false, None) = (trip.lost.is_empty(), trip.reason.as_deref().filter(|r| !r.is_empty())) {
            evidence.extend(trip.lost.clone());
            remedy = Some("say why with `-- mlops: allow-destructive REASON` if that is meant".into());
            (Status::Failed, "seeded rows do not survive it".into())
        } else if trip.one_way {
            (Status::Passed, "up works; there is no way back to try".into())
        } else {
            let order = trip.not_undone.iter().chain(&trip.not_repeated).count();
            let note = if order > 0 { "; the order of columns changes on the way" } else { "" };
            (Status::Passed, format!("up, down and up again give the same schemas{note}"))
        };
        evidence.extend(trip.locks.iter().map(|l| format!("locks {}: {} ({})", l.table, l.mode, l.blocks.words())));
        if let (false, Some(reason)) = (trip.lost.is_empty(), &trip.reason) {
            evidence.push(format!("loses rows or columns, allowed: {reason}"));
        }
        let at = if status == Status::Failed && trip.lost.is_empty() { &trip.down_file } else { &trip.file };
        let location = Location { file: self.shown(at), line: 1, column: 1 };
        Outcome::new(&trip.migration, ROUND_TRIP, status, message).with_remedy(remedy).with_evidence(evidence).at(Some(location))
    }
}

/// The strongest lock on each table that was there before.
fn held(trip: &Trip) -> String {
    let locks: Vec<String> = trip.locks.iter().map(|l| format!("{}: {} ({})", l.table, l.mode, l.blocks.words())).collect();
    if locks.is_empty() { "none on what was there before".into() } else { locks.join(", ") }
}

/// Dataset → models that were made from it, as far as the registry knows.
async fn readers(server: Option<&Postgres>, around: &Around) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    if around.datasets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let own;
    let server = match &around.registry {
        Some(address) => {
            own = Postgres::connect(address, |why| tracing::info!("waiting for the registry: {why}")).await?;
            &own
        }
        None => match server {
            Some(server) => server,
            None => return Ok(BTreeMap::new()),
        },
    };
    let client = server.client().await?;
    Ok(registry::readers(&Registry::new(server, &client)).await?)
}
