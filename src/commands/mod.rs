//! One file a verb. Errors here end the program with their exit code; nothing else does.

mod check;
mod data;
mod deliver;
mod doctor;
mod explain;
mod init;
mod load;
mod logging;
mod manual;
mod migrate;
mod model;
mod plan;
mod progress;
mod report;
mod run;
mod schema;
mod tell;
mod validate;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::panic::AssertUnwindSafe;

use clap::Parser;
use futures_util::FutureExt as _;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command, CommentWhen, Format, Global, ReportArgs, RunArgs, StagesArg, When, with_inputs};
use crate::outcome::exit;
use crate::ports::postgres::running;
use crate::runner::harmless;

/// The process as the verbs see it.
pub(crate) struct Shell {
    pub(crate) global: Global,
    pub(crate) env: BTreeMap<String, String>,
}

/// Why a verb could not do its work, and the exit code for it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    /// Standard output has said it already.
    told: bool,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: exit::USAGE, message: message.into(), told: false }
    }

    /// Its substance is on standard output as JSON.
    pub(crate) fn told(self) -> Self {
        Self { told: true, ..self }
    }

    /// A verdict: asked again, it would be the same.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: exit::FAILED, message: message.into(), told: false }
    }

    pub(crate) fn broken(message: impl std::fmt::Display) -> Self {
        Self { code: exit::BROKEN, message: message.to_string(), told: false }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::broken(format!("{error:#}"))
    }
}

type Outcome = Result<u8, Failure>;

pub(crate) async fn dispatch(args: Vec<String>, env: BTreeMap<String, String>) -> u8 {
    match with_inputs(args, &env).map_err(Failure::usage).map(Cli::try_parse_from) {
        Err(failure) => fail(&failure),
        // Help and the version are errors to clap, but not to anyone else.
        Ok(Err(error)) => {
            let _ = error.print();
            if error.use_stderr() { exit::USAGE } else { exit::PASSED }
        }
        Ok(Ok(cli)) => guarded(cli, env).await,
    }
}

/// Ctrl-C and SIGTERM end the verb's future: what it holds, a throwaway server too, is dropped in order.
async fn guarded(cli: Cli, env: BTreeMap<String, String>) -> u8 {
    logging::start(&cli.global);
    // Two TLS users, one provider; a second call finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup), Ok(mut quit)] = signals else {
        return fail(&Failure::broken("cannot listen to signals"));
    };
    // A file that grows beyond the limit is an error of its write, not the end of the process.
    let _too_large = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32));
    let shell = Shell { global: cli.global, env };
    // A bug is not evaluated, so it is not green; the guards run on the way here.
    let verb = AssertUnwindSafe(verb(&shell, cli.command)).catch_unwind();
    tokio::select! {
        outcome = verb => match outcome.unwrap_or_else(|_| Err(Failure::broken("internal error, please report it with the lines above"))) {
            Ok(code) => code,
            Err(failure) => {
                if shell.json() && !failure.told {
                    say(&format!("{:#}\n", serde_json::json!({"error": failure.message, "exit_code": failure.code})));
                }
                fail(&failure)
            }
        },
        _ = interrupt.recv() => stopped(130).await,
        _ = terminate.recv() => stopped(143).await,
        _ = hangup.recv() => stopped(129).await,
        _ = quit.recv() => stopped(131).await,
    }
}

/// What was sent to a server would go on there without us.
async fn stopped(code: u8) -> u8 {
    running::cancel().await;
    code
}

async fn verb(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Run(args) => run::run(shell, &args).await,
        Command::Plan { only, select } => plan::plan(shell, &only, &select),
        Command::Validate => validate::validate(shell),
        Command::Schema { of } => schema::schema(of),
        Command::Explain { name } => explain::explain(shell, name.as_deref()),
        Command::Seed(bad_rows) => {
            let only = StagesArg { stages: vec!["seed".into()] };
            run::run(shell, &RunArgs { only, bad_rows, report: silent(), ..RunArgs::default() }).await
        }
        Command::Check { select, explain: true } => check::explain(shell, &select).await,
        Command::Check { select, explain: false } => {
            let only = StagesArg { stages: vec!["check".into()] };
            run::run(shell, &RunArgs { only, select, report: silent(), ..RunArgs::default() }).await
        }
        Command::Data { verb } => data::data(shell, verb).await,
        Command::Model { model, verb } => model::model(shell, model, verb).await,
        Command::Init { ci, tables } => init::init(shell, ci, &tables).await,
        Command::Doctor { token } => doctor::doctor(shell, token.as_deref()).await,
        Command::Completions { shell: which } => {
            manual::completions(which);
            Ok(exit::PASSED)
        }
        Command::Man { folder } => manual::man(folder.as_deref()),
        Command::Report { verb } => report::report(shell, verb).await,
        Command::Migrate { verb } => migrate::migrate(shell, &verb).await,
    }
}

/// Of the verbs that are a part of a run: the comment is the whole run's.
fn silent() -> ReportArgs {
    ReportArgs { comment: Some(CommentWhen::Never), ..ReportArgs::default() }
}

fn fail(failure: &Failure) -> u8 {
    let text = logging::hide(&failure.message);
    // The pictures of mistakes may have colours of ours.
    let text = if failure.told { text } else { harmless(&text) };
    let start = if failure.message.contains('\n') { "" } else { "mlops: " };
    // At once: a command that the runner reads on the other stream must not come into the middle of a line.
    let _ = anstream::stderr().write_all(format!("{start}{text}\n").as_bytes());
    failure.code
}

/// Standard output of the verbs that are no run.
pub(crate) fn say(text: &str) {
    let _ = anstream::stdout().write_all(logging::hide(text).as_bytes());
}

impl Shell {
    pub(crate) fn json(&self) -> bool {
        self.global.format == Format::Json
    }

    pub(crate) fn colour(&self, terminal: bool) -> bool {
        match self.global.color {
            When::Always => true,
            When::Never => false,
            // https://no-color.org: any value but the empty one.
            When::Auto => terminal && self.env.get("NO_COLOR").is_none_or(String::is_empty),
        }
    }

    pub(crate) fn colour_out(&self) -> bool {
        self.colour(std::io::stdout().is_terminal())
    }

    pub(crate) fn colour_err(&self) -> bool {
        self.colour(std::io::stderr().is_terminal())
    }
}
