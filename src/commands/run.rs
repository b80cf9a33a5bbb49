//! `mlops run`: load, plan, connect, execute, deliver, verdict.

use super::deliver::{self, policy};
use super::load::Loaded;
use super::{Failure, Outcome, Shell, logging, progress};
use crate::cli::RunArgs;
use crate::outcome::RunReport;
use crate::pipeline::{About, execute};
use crate::ports::ci;
use crate::ports::git::Git;
use crate::report;
use crate::stages::{Env, LINEAGE_FILES};

pub(super) async fn run(shell: &Shell, args: &RunArgs) -> Outcome {
    run_with(shell, args, Files::Written, |_, _| Ok(())).await
}

/// Whether the reports of this run take the place of those of the last one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    Written,
    Kept,
}

/// `prepare` may add what an earlier job found out.
pub(super) async fn run_with(shell: &Shell, args: &RunArgs, files: Files, prepare: impl FnOnce(&Loaded, &mut Env) -> Result<(), Failure>) -> Outcome {
    let mut loaded = shell.load(&args.only.stages)?;
    loaded.select(&args.select.selection(&shell.env)?)?;
    let scratch = args.dry_run.then(tempfile::tempdir).transpose().map_err(Failure::broken)?;
    let mut env = environment(shell, args, &loaded, scratch.as_ref().map(tempfile::TempDir::path));
    prepare(&loaded, &mut env)?;
    if !args.dry_run && files == Files::Written {
        forget(&env)?;
    }
    let watch = progress::Progress::new(shell);
    let bar = watch.clone();
    env.watch = Box::new(move |name, estimate, rows| bar.rows(&format!("snapshot {name}"), estimate, rows));
    let report = execute(&loaded.plan, &env, about(shell, args, &loaded), &watch).await;
    watch.clear();
    let mut report = masked(&report, &env)?;
    report.narrowed = loaded.narrowed;
    report.shard = loaded.shard;
    report.leg = args.leg.clone().filter(|leg| !leg.is_empty()).or_else(|| loaded.shard.map(|shard| shard.to_string()));
    report.artifact = artifact(&loaded, &env);
    let to = deliver::Place { judges: true, shell, core: &loaded.config.core, workspace: &env.workspace, ci: &env.ci, templates: &loaded.templates };
    let code = deliver::deliver(&report, &to, &args.report, args.dry_run, files).await;
    if args.dry_run {
        tracing::info!("dry run: nothing was written");
    }
    Ok(code)
}

/// Reports of an earlier run must not stand in for those of this one, should it end before it can write them.
fn forget(env: &Env) -> Result<(), Failure> {
    for file in report::kinds().iter().filter_map(|kind| kind.sink.file()).chain(LINEAGE_FILES) {
        env.workspace.remove(&format!("{}/{file}", env.out)).map_err(Failure::broken)?;
    }
    Ok(())
}

fn environment(shell: &Shell, args: &RunArgs, loaded: &Loaded, scratch: Option<&std::path::Path>) -> Env {
    let core = &loaded.config.core;
    let registry = Some(&loaded.registry.url).filter(|url| !url.is_empty() && !args.dry_run).map(|url| loaded.address(url));
    let workspace = match scratch {
        Some(dir) => loaded.workspace.clone().writing_to(dir),
        None => loaded.workspace.clone(),
    };
    let target = loaded.target(shell, args.dry_run);
    let mut mask = loaded.mask.clone();
    args.report.token.iter().for_each(|token| mask.add(token));
    logging::set_mask(&mask);
    let mut ci = shell.ci();
    if loaded.config.section("model").is_some() {
        // At a machine git knows which commit the gates are of.
        ci.commit = ci.commit.or_else(|| Git::at(&loaded.workspace.path_of_folder()).commit("HEAD").ok());
    }
    let mut env = Env::new(core.project.clone(), target, registry, workspace, core.report.dir.to_string(), ci, mask);
    env.model = loaded.model().map(|model| model.name.to_string());
    env.registry_settings = loaded.registry.clone();
    if args.dry_run {
        env.registry_settings.mlflow = None;
    }
    env.partial = partial(args, loaded);
    env.templates = loaded.templates.clone();
    env.pool = core.database.pool;
    env.vars = shell.env.clone();
    env.now = now();
    env.max_bad_rows = args.bad_rows.max_bad_rows;
    env.place = ci::Place::of(&shell.env);
    env.around = loaded.around(shell);
    if args.dry_run {
        env.around.registry = None;
    }
    env
}

/// Why this run's gates are not all of them, where they are not.
fn partial(args: &RunArgs, loaded: &Loaded) -> Option<String> {
    if loaded.narrowed || loaded.shard.is_some() {
        return Some("only some of the data gates ran (--only, --tags or --shard)".into());
    }
    let missing: Vec<&str> = loaded.gates().into_iter().filter(|name| !loaded.plan.stages.iter().any(|p| p.kind.name == *name)).collect();
    (!args.only.stages.is_empty() && !missing.is_empty()).then(|| format!("--stages left out {}", missing.join(", ")))
}

/// RFC 3339, to the second.
pub(super) fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn about(shell: &Shell, args: &RunArgs, loaded: &Loaded) -> About {
    About { environment: shell.global.environment.clone(), started_at: now(), policy: policy(&args.report, &loaded.config.core) }
}

/// No sink ever sees a secret.
fn masked(report: &RunReport, env: &Env) -> Result<RunReport, Failure> {
    let mut json = serde_json::to_value(report).map_err(Failure::broken)?;
    env.mask.hide_json(&mut json);
    serde_json::from_value(json).map_err(Failure::broken)
}

/// What the gates were about, for a later job that registers it.
fn artifact(loaded: &Loaded, env: &Env) -> Option<String> {
    let model = loaded.model()?;
    let registered = env.facts().registered.and_then(|version| version.artifact_sha256);
    registered.or_else(|| env.workspace.contents(&model.artifact).ok().map(|contents| contents.sha256()))
}
