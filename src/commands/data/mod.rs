//! `mlops data …`: versions of datasets.

mod compare;
mod list;
mod live;
mod move_to;
mod restore;

use std::collections::BTreeMap;

use super::load::Loaded;
use super::{Failure, Outcome, Shell, check, say};
use crate::cli::DataVerb;
use crate::dataset::{Dataset, Datasets, Store, Version};
use crate::mistakes::{Mistakes, suggestion};
use crate::ports::git::Git;

/// The section, and what lies around it.
struct Data<'a> {
    shell: &'a Shell,
    loaded: Loaded,
    datasets: Datasets,
}

pub(super) async fn data(shell: &Shell, verb: DataVerb) -> Outcome {
    match verb {
        DataVerb::Export { names, push } => live::export(&open(shell)?, &names, push).await,
        DataVerb::Push { names, remote } => move_to::push(&open(shell)?, &names, remote.as_deref()).await,
        DataVerb::Pull { names, remote, force } => move_to::pull(&open(shell)?, &names, remote.as_deref(), force).await,
        DataVerb::Load { name, at, to, table, force } => {
            restore::load(&open(shell)?, &name, at.as_deref(), to.as_deref(), table.as_deref(), force).await
        }
        DataVerb::Verify { names, live } => live::verify(&open(shell)?, &names, live).await,
        DataVerb::List { all } => list::list(&open(shell)?, all),
        DataVerb::Lineage { name } => list::lineage(&open(shell)?, &name),
        DataVerb::Diff { before, after, key } => compare::compare(&open(shell)?, &before, after.as_deref(), &key),
        DataVerb::Rollback { name, to, table, force } => restore::rollback(&open(shell)?, &name, &to, table.as_deref(), force).await,
        DataVerb::Profile { tables, out } => check::profile(shell, &tables, &out).await,
    }
}

fn open(shell: &Shell) -> Result<Data<'_>, Failure> {
    let loaded = shell.load(&[])?;
    let section = loaded.config.section("datasets");
    let datasets = section.and_then(|node| node.decode::<Datasets>(&mut Mistakes::default()));
    let missing = || Failure::usage(format!("{}: there is no section `datasets`", shell.global.config.display()));
    Ok(Data { shell, datasets: datasets.ok_or_else(missing)?, loaded })
}

impl Data<'_> {
    fn store(&self) -> Result<Store<'_>, Failure> {
        Store::open(&self.loaded.workspace, self.shell.env.get("HOME").map(String::as_str)).map_err(Failure::broken)
    }

    fn git(&self) -> Git {
        Git::at(&self.loaded.workspace.path_of_folder())
    }

    fn dataset(&self, name: &str) -> Result<&Dataset, Failure> {
        let known = self.datasets.keys().map(String::as_str);
        self.datasets.get(name).ok_or_else(|| Failure::usage(format!("there is no dataset `{name}`; {}", suggestion(name, known, "datasets"))))
    }

    /// Those that are named, or all.
    fn chosen<'a>(&'a self, names: &'a [String]) -> Result<BTreeMap<&'a str, &'a Dataset>, Failure> {
        if names.is_empty() {
            return Ok(self.datasets.iter().map(|(name, dataset)| (name.as_str(), dataset)).collect());
        }
        names.iter().map(|name| Ok((name.as_str(), self.dataset(name)?))).collect()
    }

    /// The pointer's text, as a commit has it.
    fn pointer_at(&self, name: &str, commit: &str) -> Result<String, Failure> {
        let pointer = Store::pointer(self.dataset(name)?);
        let text = self.git().file(commit, &pointer).map_err(Failure::broken)?;
        text.ok_or_else(|| Failure::broken(format!("{commit} has no {pointer}: no version of `{name}` was committed there")))
    }

    /// The version that a commit has, or that is there now.
    fn version(&self, store: &Store<'_>, name: &str, commit: Option<&str>) -> Result<Version, Failure> {
        let dataset = self.dataset(name)?;
        match commit {
            Some(commit) => Store::version_of(dataset, &self.pointer_at(name, commit)?).map_err(Failure::broken),
            None => store.version(dataset).map_err(Failure::broken)?.ok_or_else(|| no_version(name, dataset)),
        }
    }
}

fn no_version(name: &str, dataset: &Dataset) -> Failure {
    Failure::broken(format!("`{name}` has no version yet: there is no {}; `mlops data export {name}` writes one", Store::pointer(dataset)))
}
