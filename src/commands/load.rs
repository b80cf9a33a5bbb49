//! `mlops.yml` from the disk to a plan, for every verb that needs one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Failure, Shell, logging};
use crate::checks::Selection;
use crate::config::{self, Config, Core, Input};
use crate::dataset::Dataset;
use crate::mistakes::{Mistakes, nearest, suggestion};
use crate::outcome::Shard;
use crate::pipeline::{Plan, plan, sections};
use crate::ports::ci::Ci;
use crate::ports::files::Workspace;
use crate::ports::postgres::scratch::Binaries;
use crate::ports::postgres::{Address, Postgres, password_of};
use crate::registry::{Model, Settings};
use crate::render::Templates;
use crate::runner::annotation;
use crate::secret::{Mask, Secret};
use crate::stages::{Around, Target, kinds, seed_tasks};

/// A file without a mistake.
pub(super) struct Loaded {
    pub(super) config: Config,
    /// The section `registry`.
    pub(super) registry: Settings,
    pub(super) plan: Plan,
    pub(super) workspace: Workspace,
    pub(super) mask: Mask,
    pub(super) templates: Templates,
    /// Only some of the data gates are to run, by name or tag.
    pub(super) narrowed: bool,
    /// Only a part of the tables.
    pub(super) shard: Option<Shard>,
}

impl Shell {
    /// The file's text, and the path by which it is shown.
    pub(super) fn read_config(&self) -> Result<(String, String), Failure> {
        let path = &self.global.config;
        let shown = path.display().to_string();
        let text = std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::usage(format!("{shown}: no such file; write one, or name it with --config")),
            _ => Failure::usage(format!("{shown}: {error}")),
        })?;
        let text = String::from_utf8(text).map_err(|_| Failure::usage(format!("{shown}: it is not UTF-8 text")))?;
        Ok((text, shown))
    }

    /// Configuration and plan, or every mistake in them.
    pub(super) fn load(&self, only: &[String]) -> Result<Loaded, Failure> {
        self.refuse_strangers()?;
        check_stages(only)?;
        let (text, shown) = self.read_config()?;
        let mut mistakes = Mistakes::default();
        match self.try_load(&text, &shown, self.global.environment.as_deref(), only, &mut mistakes) {
            Some(loaded) if mistakes.is_empty() => Ok(loaded),
            _ => Err(self.mistaken(&mistakes, &shown, &text)),
        }
    }

    pub(super) fn try_load(&self, text: &str, shown: &str, environment: Option<&str>, only: &[String], mistakes: &mut Mistakes) -> Option<Loaded> {
        let flags = [("database.url", &self.global.database_url), ("registry.url", &self.global.registry_url)];
        let overrides: Vec<(&str, String)> =
            flags.iter().filter_map(|(key, flag)| Some((*key, flag.as_ref().filter(|f| !f.is_empty())?.clone()))).collect();
        let read_file = |path: &str| std::fs::read_to_string(path).map_err(|e| e.to_string());
        let sections = sections();
        let input = Input { text, env: &self.env, environment, overrides: &overrides, read_file: &read_file, sections: &sections };
        let config = config::load(&input, mistakes);
        let registry: Settings =
            config.as_ref().and_then(|c| c.section("registry")).and_then(|node| node.decode(&mut Mistakes::default())).unwrap_or_default();
        let mut mask = self.mask(config.as_ref());
        mask.add(registry.url.expose());
        registry.mlflow().iter().for_each(|mlflow| mask.add(mlflow.uri.expose()));
        logging::set_mask(&mask);
        let config = config?;
        let plan = plan(&config, shown, only, mistakes);
        let workspace = self.workspace();
        let place = config.place("templates").unwrap_or_default();
        let templates = templates(config.core.templates.as_deref(), &workspace).unwrap_or_else(|why| {
            mistakes.add(place, why);
            Templates::default()
        });
        Some(Loaded { config, registry, plan, workspace, mask, templates, narrowed: false, shard: None })
    }

    /// The folder of `mlops.yml`.
    pub(super) fn workspace(&self) -> Workspace {
        Workspace::new(self.global.config.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), PathBuf::from))
    }

    /// In a job that has the repository's secrets for a stranger's change, mlops.yml says what is connected to, sent and run.
    fn refuse_strangers(&self) -> Result<(), Failure> {
        if self.global.allow_pull_request_target || !self.ci().is_privileged() {
            return Ok(());
        }
        let event = self.env.get("GITHUB_EVENT_NAME").map_or("this event", String::as_str);
        Err(Failure::usage(format!(
            "under `{event}` the code of a change may be a stranger's while the secrets are yours: nothing that mlops.yml says is done. Run on \
             `pull_request` and comment from a second workflow (docs/ci.md), or, where nothing of the change is checked out, say \
             --allow-pull-request-target"
        )))
    }

    /// Exit 2 with every mistake; on GitHub also as annotations, with JSON as JSON.
    pub(super) fn mistaken(&self, mistakes: &Mistakes, shown: &str, text: &str) -> Failure {
        if self.json() {
            let row = |m: &crate::mistakes::Mistake| serde_json::json!({"file": shown, "line": m.place.line, "column": m.place.column, "message": m.message, "help": m.help});
            let rows: Vec<_> = mistakes.sorted().iter().map(row).collect();
            super::say(&format!("{:#}\n", serde_json::json!({"mistakes": rows})));
        } else if self.env.get("GITHUB_ACTIONS").is_some_and(|v| v == "true") {
            for m in mistakes.sorted().iter().take(10) {
                let message = format!("{}{}", m.message, m.help.as_ref().map(|h| format!("; {h}")).unwrap_or_default());
                super::say(&annotation("error", Some((shown, m.place.line, m.place.column)), "mlops.yml", &message));
            }
        }
        Failure::usage(mistakes.render(shown, text, self.colour_err())).told()
    }

    /// Secrets of the configuration, and of the environment by its names.
    fn mask(&self, config: Option<&Config>) -> Mask {
        let mut mask = Mask::default();
        let ends = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "API_KEY"];
        for (name, value) in &self.env {
            if ends.iter().any(|end| name.to_uppercase().ends_with(end)) || value.contains("://") {
                mask.add(value);
            }
        }
        let flags = [&self.global.database_url, &self.global.registry_url];
        flags.into_iter().flatten().for_each(|url| mask.add(url));
        config.iter().flat_map(|c| &c.secrets).for_each(|secret| mask.add(secret));
        // `host=… password=…` is no URL, but has a password too.
        let given = flags.into_iter().flatten().chain(config.iter().flat_map(|c| &c.secrets)).chain(self.env.values());
        given.filter(|text| text.contains("password")).filter_map(|text| password_of(text)).for_each(|password| mask.add(&password));
        mask
    }

    /// For verbs that read no mlops.yml, or before they do.
    pub(super) fn hide_secrets(&self, token: Option<&str>) {
        let mut mask = self.mask(None);
        token.iter().for_each(|token| mask.add(token));
        logging::set_mask(&mask);
    }

    /// A path of the command line, as seen from the folder of `mlops.yml`.
    pub(super) fn beside_config(&self, path: &std::path::Path) -> PathBuf {
        self.global.config.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    pub(super) fn ci(&self) -> Ci {
        let event = Ci::event_path(&self.env).and_then(|path| std::fs::read(path).ok()).and_then(|text| serde_json::from_slice(&text).ok());
        Ci::detect(&self.env, event.as_ref())
    }
}

impl Loaded {
    /// Narrows the checks down.
    pub(super) fn select(&mut self, selection: &Selection) -> Result<(), Failure> {
        if selection.is_everything() {
            return Ok(());
        }
        if !self.plan.stages.iter().any(|planned| planned.kind.name == "check") && (!selection.only.is_empty() || !selection.tags.is_empty()) {
            return Err(Failure::usage("--only and --tags select data gates, and `gates.data` does not run"));
        }
        self.narrowed = !selection.only.is_empty() || !selection.tags.is_empty();
        self.shard = selection.shard;
        self.plan.stages.iter_mut().try_for_each(|planned| planned.stage.select(selection)).map_err(Failure::usage)
    }

    /// The stages that judge, as far as the file asks for them.
    pub(super) fn gates(&self) -> Vec<&'static str> {
        let asked = kinds().into_iter().filter(|kind| kind.section.starts_with("gates.") && self.config.section(kind.section).is_some());
        asked.map(|kind| kind.name).collect()
    }

    /// The section `model`.
    pub(super) fn model(&self) -> Option<Model> {
        self.config.section("model").and_then(|node| node.decode(&mut Mistakes::default()))
    }

    pub(super) fn address(&self, url: &Secret) -> Address {
        address(&self.config.core, url)
    }

    /// The server of the verbs that are no run; `what` one would do with its database.
    pub(super) async fn server(&self, what: &str) -> Result<Postgres, Failure> {
        let url = &self.config.core.database.url;
        if url.is_empty() {
            return Err(Failure::usage(format!("database.url is empty: there is no database to {what}")));
        }
        let waiting = |why: &str| tracing::info!("waiting for the database: {why}");
        Postgres::connect(&self.address(url), waiting).await.map_err(Failure::broken)
    }

    /// What migrations are seen against; the sections have been found right before.
    pub(super) fn around(&self, shell: &Shell) -> Around {
        let section = |name: &str| self.config.section(name);
        let mut quiet = Mistakes::default();
        let datasets: BTreeMap<String, Dataset> = section("datasets").and_then(|node| node.decode(&mut quiet)).unwrap_or_default();
        let registry = &self.registry.url;
        Around {
            seeds: section("seed").and_then(|node| seed_tasks(node, &mut quiet)).unwrap_or_default(),
            datasets: datasets.iter().map(|(name, dataset)| (name.clone(), dataset.reads(&self.workspace))).collect(),
            registry: (!registry.is_empty()).then(|| self.address(registry)),
            binaries: Some(self.binaries(shell)),
        }
    }

    fn binaries(&self, shell: &Shell) -> Binaries {
        Binaries {
            settings: self.address(&self.config.core.database.url),
            bin: shell.global.postgres_bin.clone(),
            path: shell.env.get("PATH").cloned().unwrap_or_default(),
            base: shell.env.get("TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
        }
    }

    /// The server of a run: the one named, or a private one.
    pub(super) fn target(&self, shell: &Shell, throwaway: bool) -> Target {
        let url = &self.config.core.database.url;
        if throwaway || url.is_empty() { Target::Throwaway(self.binaries(shell)) } else { Target::Server(self.address(url)) }
    }
}

/// A server, reached as the section `database` says.
pub(super) fn address(core: &Core, url: &Secret) -> Address {
    let database = &core.database;
    Address {
        url: url.clone(),
        tls: database.tls,
        ca: database.ca.clone(),
        connect_timeout: database.connect_timeout.0,
        statement_timeout: database.statement_timeout.0,
        pool: database.pool,
    }
}

/// Those of the program, and those of a folder in their place.
pub(super) fn templates(folder: Option<&str>, workspace: &Workspace) -> Result<Templates, String> {
    let mut templates = Templates::default();
    let Some(folder) = folder else { return Ok(templates) };
    let found = workspace.read_folder(folder, |name| name.ends_with(".hbs")).map_err(|e| e.to_string())?;
    if found.is_empty() {
        return Err(format!("`templates`: {folder} holds no file that ends in .hbs"));
    }
    for (file, text) in found {
        let name = file.rsplit('/').next().unwrap_or(&file).trim_end_matches(".hbs").to_owned();
        if !Templates::names().any(|known| known == name) {
            return Err(format!(
                "`templates`: there is no template `{name}.hbs`; {}",
                suggestion(&name, Templates::names().collect::<Vec<_>>(), "templates")
            ));
        }
        templates.replace(&name, &text).map_err(|e| format!("`templates`: {folder}/{name}.hbs: {}", e.why))?;
    }
    Ok(templates)
}

fn check_stages(only: &[String]) -> Result<(), Failure> {
    let known: Vec<&str> = kinds().iter().map(|kind| kind.name).collect();
    match only.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(Failure::usage(format!("--stages: unknown stage `{unknown}`; {}", suggestion(unknown, known, "stages")))),
        None => Ok(()),
    }
}

/// For `explain`: the nearest of all names.
pub(super) fn nearest_name<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    nearest(name, known.iter().copied())
}
