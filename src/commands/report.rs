//! `mlops report merge`: reports of several jobs in, one verdict out. What they say is data: sizes are bounded, and nothing in them
//! is a link, a command or a number of a pull request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::deliver::{self, policy};
use super::load::templates;
use super::run::Files;
use super::{Failure, Outcome, Shell};
use crate::cli::ReportVerb;
use crate::config::{self, Core, Input};
use crate::mistakes::Mistakes;
use crate::outcome::RunReport;
use crate::pipeline::{Leg, merge};
use crate::ports::files::{sha256, walk};

/// A report of a million outcomes; more is no report.
const LARGEST: u64 = 64 << 20;
const MOST: usize = 256;
const NAME: &str = "report.json";

pub(super) async fn report(shell: &Shell, verb: ReportVerb) -> Outcome {
    let ReportVerb::Merge { reports, expect, report_only, report: args } = verb;
    shell.hide_secrets(args.token.as_deref());
    let core = settings(shell)?;
    let legs = read(&reports)?;
    let count = legs.len();
    belongs(shell, core.as_ref(), &legs)?;
    let merged = merge(legs, expect, policy(&args, core.as_ref().unwrap_or(&Core::bare()))).map_err(Failure::usage)?;
    let core = core.unwrap_or_else(|| Core { project: merged.project.clone(), ..Core::bare() });
    tracing::info!("{} of {}", crate::units::counted(count as u64, "report"), merged.project);
    let workspace = shell.workspace();
    let templates = templates(core.templates.as_deref(), &workspace).map_err(Failure::usage)?;
    let ci = shell.ci();
    let to = deliver::Place { shell, core: &core, workspace: &workspace, ci: &ci, templates: &templates, judges: !report_only };
    Ok(deliver::deliver(&merged, &to, &args, false, Files::Written).await)
}

/// Of `mlops.yml` what reports need. Without the file there are defaults, unless it was named.
fn settings(shell: &Shell) -> Result<Option<Core>, Failure> {
    if shell.global.config == Path::new("mlops.yml") && !shell.global.config.exists() {
        return Ok(None);
    }
    let (text, shown) = shell.read_config()?;
    let mut mistakes = Mistakes::default();
    let read_file = |path: &str| std::fs::read_to_string(path).map_err(|e| e.to_string());
    let input = Input {
        text: &text,
        env: &shell.env,
        environment: shell.global.environment.as_deref(),
        overrides: &[],
        read_file: &read_file,
        sections: &[],
    };
    match config::load_reporting(&input, &mut mistakes) {
        Some(core) if mistakes.is_empty() => Ok(Some(core)),
        _ => Err(shell.mistaken(&mistakes, &shown, &text)),
    }
}

/// A report of another project or commit says nothing of this one, however green it is.
fn belongs(shell: &Shell, core: Option<&Core>, legs: &[Leg]) -> Result<(), Failure> {
    let commit = shell.ci().commit;
    for Leg { report, place } in legs {
        let wrong =
            |what: &str, theirs: &str, ours: &str| Err(Failure::usage(format!("{place}: the report is of {what} {theirs}, and this is {ours}")));
        if let Some(core) = core.filter(|core| core.project != report.project) {
            return wrong("the project", &report.project, &core.project);
        }
        if let (Some(theirs), Some(ours)) = (&report.commit, &commit)
            && theirs != ours
        {
            return wrong("the commit", theirs, ours);
        }
    }
    Ok(())
}

fn read(paths: &[PathBuf]) -> Result<Vec<Leg>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        walk(path, &mut found).map_err(Failure::broken)?;
        found.retain(|file| file.file_name().is_some_and(|name| name == NAME));
        if found.is_empty() {
            return Err(Failure::broken(format!("there is no {NAME} in {}: its job has left no report", path.display())));
        }
        files.extend(found);
    }
    files.sort();
    if files.len() > MOST {
        return Err(Failure::usage(format!("{} reports are more than {MOST}", files.len())));
    }
    let mut seen: BTreeMap<String, &PathBuf> = BTreeMap::new();
    let mut legs = Vec::new();
    for file in &files {
        let (leg, digest) = one(file)?;
        if let Some(other) = seen.insert(digest, file) {
            return Err(Failure::usage(format!("{} and {} are the same report", other.display(), file.display())));
        }
        legs.push(leg);
    }
    Ok(legs)
}

/// The report, and the digest of its bytes.
fn one(file: &Path) -> Result<(Leg, String), Failure> {
    let shown = file.display();
    let about = std::fs::metadata(file).map_err(|e| Failure::broken(format!("{shown}: {e}")))?;
    if !about.is_file() {
        return Err(Failure::usage(format!("{shown} is no file")));
    }
    if about.len() > LARGEST {
        return Err(Failure::usage(format!("{shown} has {} bytes; a report has {LARGEST} at the most", about.len())));
    }
    let text = std::fs::read(file).map_err(|e| Failure::broken(format!("{shown}: {e}")))?;
    let json: serde_json::Value = serde_json::from_slice(&text).map_err(|e| Failure::usage(format!("{shown} is no report: {e}")))?;
    let version = json["format_version"].as_u64();
    if version != Some(u64::from(RunReport::FORMAT_VERSION)) {
        let found = version.map_or_else(|| "it has no `format_version`".into(), |v| format!("it has `format_version` {v}"));
        return Err(Failure::usage(format!("{shown} is no report of this version: {found}, and {} is read", RunReport::FORMAT_VERSION)));
    }
    let read = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(&text));
    let report = read.map_err(|e| Failure::usage(format!("{shown}: `{}`: {}", e.path(), e.inner())))?;
    let folder = file.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    Ok((Leg { report, place: folder.unwrap_or_else(|| shown.to_string()) }, sha256(&text)))
}
