//! A report on its way to every sink, and what that means for the exit code.

use std::time::Instant;

use super::run::Files;
use super::{Shell, logging};
use crate::cli::{CommentWhen, FailOn, ReportArgs};
use crate::config::{self, Core};
use crate::outcome::{Policy, RunReport, exit};
use crate::ports::ci::Ci;
use crate::ports::files::Workspace;
use crate::render::Templates;
use crate::report::{self, CommentPolicy, Delivered, Delivery, Hosting};

pub(super) struct Place<'a> {
    pub(super) shell: &'a Shell,
    pub(super) core: &'a Core,
    pub(super) workspace: &'a Workspace,
    pub(super) ci: &'a Ci,
    pub(super) templates: &'a Templates,
    /// Whether the exit code is the verdict, and not only whether it was delivered.
    pub(super) judges: bool,
}

pub(super) fn policy(args: &ReportArgs, core: &Core) -> Policy {
    let fail_on_warning = match args.fail_on {
        Some(fail_on) => fail_on == FailOn::Warned,
        None => core.report.fail_on == config::FailOn::Warned,
    };
    Policy { fail_on_warning, warn_exit_code: args.warn_exit_code }
}

/// The exit code.
pub(super) async fn deliver(report: &RunReport, to: &Place<'_>, args: &ReportArgs, dry: bool, files: Files) -> u8 {
    let delivered = report::deliver(report, &delivery(to, args, dry, files)).await;
    for (sink, why) in &delivered.failed {
        tracing::warn!("{sink}: {}", logging::hide(why));
    }
    if !dry && !delivered.done.is_empty() {
        tracing::info!("{}", delivered.done.join(", "));
    }
    if to.judges {
        return verdict(report, &delivered, args);
    }
    if lost(&delivered, args) { exit::BROKEN } else { exit::PASSED }
}

fn delivery<'a>(to: &Place<'a>, args: &'a ReportArgs, dry: bool, files: Files) -> Delivery<'a> {
    let settings = &to.core.report;
    let comment = match (dry, args.comment, settings.comment) {
        (true, ..) | (_, Some(CommentWhen::Never), _) | (_, None, config::Comment::Never) => CommentPolicy::Never,
        (_, Some(CommentWhen::Always), _) | (_, None, config::Comment::Always) => CommentPolicy::Always,
        (_, Some(CommentWhen::Auto), _) | (_, None, config::Comment::Auto) => CommentPolicy::Auto,
    };
    Delivery {
        workspace: to.workspace,
        dir: &settings.dir,
        ci: to.ci,
        comment,
        recreate_comment: settings.comment_mode == config::CommentMode::Recreate,
        comment_key: args.comment_key.as_deref(),
        pr_number: args.pr_number,
        check_run: settings.check_run && !dry,
        commit_status: settings.commit_status && !dry,
        hosting: hosting(to.core, to.workspace, args.token.as_deref()),
        templates: to.templates,
        colour: to.shell.colour_out(),
        quiet: to.shell.global.quiet,
        json_only: to.shell.json(),
        only_told: files == Files::Kept,
    }
}

pub(super) fn hosting<'a>(core: &Core, workspace: &Workspace, token: Option<&'a str>) -> Hosting<'a> {
    Hosting { token, until: Instant::now() + core.report.timeout.0, ca: core.report.ca.as_ref().map(|ca| workspace.path_of_folder().join(ca)) }
}

/// A report that could not be delivered is a warning; only a comment that was required, or files that could not be
/// written, change the exit code of a green run.
fn verdict(report: &RunReport, delivered: &Delivered, args: &ReportArgs) -> u8 {
    if report.exit_code == exit::PASSED && lost(delivered, args) {
        tracing::error!("the run passed, but its report could not be delivered: exit {}", exit::BROKEN);
        return exit::BROKEN;
    }
    report.exit_code
}

fn lost(delivered: &Delivered, args: &ReportArgs) -> bool {
    let files: Vec<&str> = report::kinds().iter().filter(|kind| kind.sink.file().is_some()).map(|kind| kind.name).collect();
    let lost = |(sink, _): &(String, String)| files.contains(&sink.as_str()) || sink == "console" || (args.require_comment && sink == "comment");
    delivered.failed.iter().any(lost)
}
