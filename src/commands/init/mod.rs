//! `mlops init`: what is here, what is in the database, and a file that asks for it.

mod database;
mod propose;
mod repository;

use std::path::{Path, PathBuf};

use serde_json::json;

use self::database::Found;
use self::repository::Repository;
use super::{Failure, Outcome, Shell, say};
use crate::cli::Platform;
use crate::mistakes::Mistakes;
use crate::outcome::exit;
use crate::ports::files;
use crate::render::Templates;

/// Where the action and its image live.
const ACTION: &str = "mlops-action/mlops-action@v1";
const IMAGE: &str = "ghcr.io/mlops-action/mlops-action:v1";
const WORKFLOW: &str = ".github/workflows/mlops.yml";
const GITLAB: &str = ".gitlab-ci.yml";

pub(super) async fn init(shell: &Shell, ci: Option<Platform>, tables: &[String]) -> Outcome {
    shell.hide_secrets(None);
    let config = &shell.global.config;
    let folder = shell.workspace().path_of_folder();
    let repository = Repository::look(&folder);
    let platform = ci.unwrap_or(repository.platform);
    let templates = Templates::default();
    let (mut done, mut notes) = (Vec::new(), Vec::new());
    if config.is_dir() {
        return Err(Failure::usage(format!("{} is a folder: name a file with --config", config.display())));
    }
    // A link that leads nowhere is somebody's too.
    if config.symlink_metadata().is_ok() {
        done.push(Done::kept(config));
    } else {
        let found = match shell.global.database_url.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => Some(Found::look(url, tables).await?),
            None if tables.is_empty() => None,
            None => return Err(Failure::usage("--tables names tables of a database: give it with --database-url")),
        };
        let data = propose::proposal(&repository, found.as_ref(), platform).map_err(Failure::usage)?;
        let text = templates.render("mlops.yml", &data).map_err(Failure::broken)?;
        sound(shell, &text)?;
        done.push(Done::write(config, &text, &folder)?);
        notes.extend(found.iter().flat_map(remarks));
    }
    done.extend(notes);
    done.push(job(platform, &repository, config, &folder, &templates)?);
    if shell.json() {
        let rows: Vec<_> = done.iter().map(|d| json!({"file": d.file, "what": d.what, "message": d.message})).collect();
        say(&format!("{:#}\n", json!({"done": rows})));
    } else {
        done.iter().for_each(|d| say(&format!("{}\n", d.line())));
    }
    Ok(exit::PASSED)
}

fn remarks(found: &Found) -> Vec<Done> {
    let history =
        found.history.map(|tool| format!("the database has a history of {tool}: `mlops migrate import {tool}` takes it over before the first run"));
    let unnamed = (!found.unnamed.is_empty()).then(|| format!("without gates, as mlops.yml cannot write their names: {}", found.unnamed.join(", ")));
    let unread = found.unread.iter().map(|(table, why)| format!("without gates: {table} could not be looked at: {why}"));
    history.into_iter().chain(unnamed).chain(unread).map(Done::todo).collect()
}

/// The workflow or the job. A pipeline that is there already is somebody's: what to add to it is said.
fn job(platform: Platform, repository: &Repository, config: &Path, folder: &Path, templates: &Templates) -> Result<Done, Failure> {
    // As the job sees them, which begins at the root.
    let below = |path: PathBuf| {
        let whole = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        whole(folder)
            .join(path)
            .strip_prefix(whole(&repository.root))
            .map_or_else(|_| config.display().to_string(), |path| path.display().to_string())
    };
    let shown = below(config.file_name().map(PathBuf::from).unwrap_or_default());
    let out = below("mlops-out".into());
    let data = json!({
        "branch": repository.branch, "service": repository.migrations.is_some(), "config": (shown != "mlops.yml").then_some(&shown),
        "action": ACTION, "image": IMAGE, "secret": "${{ secrets.DATABASE_URL }}", "out": format!("{out}/"),
        "reports": {
            "junit": format!("{out}/junit.xml"), "dotenv": format!("{out}/outputs.env"), "codequality": format!("{out}/gl-code-quality-report.json"),
            "metrics": format!("{out}/metrics.prom"), "annotations": format!("{out}/gl-annotations.json"),
        },
    });
    let (path, template) = match platform {
        Platform::Github => (repository.root.join(WORKFLOW), "workflow.yml"),
        Platform::Gitlab => (repository.root.join(GITLAB), "gitlab-ci.yml"),
        Platform::None => return Ok(Done::todo("no job was written: `--ci github` or `--ci gitlab` writes one".into())),
    };
    let text = templates.render(template, &data).map_err(Failure::broken)?;
    if !path.exists() {
        return Done::write(&path, &text, &repository.root);
    }
    let mut kept = Done::kept(&path);
    if platform == Platform::Gitlab && !std::fs::read_to_string(&path).is_ok_and(|text| text.contains("mlops")) {
        kept.message = format!("it is there already; this would be the job:\n\n{text}");
    }
    Ok(kept)
}

/// What we write ourselves is valid.
fn sound(shell: &Shell, text: &str) -> Result<(), Failure> {
    let mut mistakes = Mistakes::default();
    let _ = shell.try_load(text, "mlops.yml", None, &[], &mut mistakes);
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(Failure::broken(format!("this would not be valid, please report it:\n{text}\n{}", mistakes.render("mlops.yml", text, false))))
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

struct Done {
    file: Option<String>,
    what: &'static str,
    message: String,
}

impl Done {
    fn write(path: &Path, text: &str, root: &Path) -> Result<Self, Failure> {
        files::write(path, text.as_bytes(), root).map_err(Failure::broken)?;
        Ok(Self { file: Some(shown(path)), what: "written", message: String::new() })
    }

    fn kept(path: &Path) -> Self {
        Self { file: Some(shown(path)), what: "kept", message: "it is there already".into() }
    }

    fn todo(message: String) -> Self {
        Self { file: None, what: "note", message }
    }

    fn line(&self) -> String {
        let parts = [self.file.as_deref().unwrap_or_default(), self.what, self.message.as_str()];
        match self.file {
            Some(_) if self.message.is_empty() => format!("{}: {}", parts[0], parts[1]),
            Some(_) => format!("{}: {}, {}", parts[0], parts[1], parts[2]),
            None => format!("{}: {}", parts[1], parts[2]),
        }
    }
}
