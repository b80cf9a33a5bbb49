//! `mlops run`: load, plan, connect, execute, deliver, verdict.

use super::load::Loaded;
use super::{Failure, Outcome, Shell, logging, progress};
use crate::cli::{CommentWhen, FailOn, RunArgs};
use crate::config;
use crate::outcome::{Policy, RunReport, exit};
use crate::pipeline::{About, execute};
use crate::ports::ci::in_container;
use crate::ports::git::Git;
use crate::report::{self, CommentPolicy, Delivered, Delivery, deliver};
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
    report.artifact = artifact(&loaded, &env);
    let delivered = deliver(&report, &delivery(shell, args, &loaded, &env, files)).await;
    Ok(verdict(&report, &delivered, args))
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
    args.token.iter().for_each(|token| mask.add(token));
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
    env.pool = core.database.pool;
    env.vars = shell.env.clone();
    env.now = now();
    env.max_bad_rows = args.bad_rows.max_bad_rows;
    env.in_container = in_container(&shell.env);
    env.around = loaded.around(shell);
    if args.dry_run {
        env.around.registry = None;
    }
    env
}

/// Why this run's gates are not all of them, where they are not.
fn partial(args: &RunArgs, loaded: &Loaded) -> Option<String> {
    if loaded.narrowed {
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
    let fail_on_warning = match args.fail_on {
        Some(fail_on) => fail_on == FailOn::Warned,
        None => loaded.config.core.report.fail_on == config::FailOn::Warned,
    };
    About {
        environment: shell.global.environment.clone(),
        started_at: now(),
        policy: Policy { fail_on_warning, warn_exit_code: args.warn_exit_code },
    }
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

fn delivery<'a>(shell: &Shell, args: &'a RunArgs, loaded: &'a Loaded, env: &'a Env, files: Files) -> Delivery<'a> {
    let comment = match (args.dry_run, args.comment, loaded.config.core.report.comment) {
        (true, ..) | (_, Some(CommentWhen::Never), _) | (_, None, config::Comment::Never) => CommentPolicy::Never,
        (_, Some(CommentWhen::Always), _) | (_, None, config::Comment::Always) => CommentPolicy::Always,
        (_, Some(CommentWhen::Auto), _) | (_, None, config::Comment::Auto) => CommentPolicy::Auto,
    };
    Delivery {
        workspace: &env.workspace,
        dir: &env.out,
        ci: &env.ci,
        comment,
        token: args.token.as_deref(),
        colour: shell.colour_out(),
        quiet: shell.global.quiet,
        json_only: shell.json(),
        only_told: files == Files::Kept,
    }
}

/// A report that could not be delivered is a warning; only a comment that was required, or files that could not be
/// written, change the exit code of a green run.
fn verdict(report: &RunReport, delivered: &Delivered, args: &RunArgs) -> u8 {
    for (sink, why) in &delivered.failed {
        tracing::warn!("{sink}: {}", logging::hide(why));
    }
    if args.dry_run {
        tracing::info!("dry run: nothing was written");
    } else if !delivered.done.is_empty() {
        tracing::info!("{}", delivered.done.join(", "));
    }
    let files: Vec<&str> = report::kinds().iter().filter(|kind| kind.sink.file().is_some()).map(|kind| kind.name).collect();
    let lost = |(sink, _): &(String, String)| files.contains(&sink.as_str()) || sink == "console" || (args.require_comment && sink == "comment");
    if report.exit_code == exit::PASSED && delivered.failed.iter().any(lost) {
        tracing::error!("the run passed, but its report could not be delivered: exit {}", exit::BROKEN);
        return exit::BROKEN;
    }
    report.exit_code
}
