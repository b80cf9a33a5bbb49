//! The command line. Every option has an environment name; the action's inputs become options.

mod data;
mod migrate;
mod model;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use self::data::DataVerb;
pub use self::migrate::MigrateVerb;
pub use self::model::{CurrentPart, ExportForm, HowArgs, ModelVerb};

/// Migrate, seed, check, version, evaluate, register and deploy, from one mlops.yml.
#[derive(Debug, Parser)]
#[command(name = "mlops", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file; its folder is the workspace.
    #[arg(short, long, global = true, env = "MLOPS_CONFIG", default_value = "mlops.yml", value_name = "FILE")]
    pub config: PathBuf,
    /// The entry of `environments` to lay over the file.
    #[arg(long, global = true, env = "MLOPS_ENVIRONMENT", value_name = "NAME")]
    pub environment: Option<String>,
    /// Overrides `database.url`.
    #[arg(long, global = true, env = "MLOPS_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Overrides `registry.url`.
    #[arg(long, global = true, env = "MLOPS_REGISTRY_URL", hide_env_values = true, value_name = "URL")]
    pub registry_url: Option<String>,
    /// What standard output carries.
    #[arg(long, global = true, env = "MLOPS_FORMAT", default_value = "human")]
    pub format: Format,
    /// When to colour.
    #[arg(long, global = true, env = "MLOPS_COLOR", default_value = "auto")]
    pub color: When,
    /// When to show progress on standard error.
    #[arg(long, global = true, env = "MLOPS_PROGRESS", default_value = "auto")]
    pub progress: When,
    /// The form of log lines on standard error.
    #[arg(long, global = true, env = "MLOPS_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// More log lines; twice for all of them.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Only what needs attention.
    #[arg(short, long, global = true, env = "MLOPS_QUIET")]
    pub quiet: bool,
    /// The folder with `initdb` and `postgres` for throwaway servers; searched for by default.
    #[arg(long, global = true, env = "MLOPS_POSTGRES_BIN", value_name = "DIR")]
    pub postgres_bin: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole pipeline, or a part of it.
    Run(RunArgs),
    /// What `run` would do; touches nothing.
    Plan {
        #[command(flatten)]
        only: StagesArg,
        #[command(flatten)]
        select: SelectArgs,
    },
    /// Every mistake in mlops.yml at once, in every environment.
    Validate,
    /// The JSON Schema of mlops.yml, or of report.json.
    Schema {
        #[arg(default_value = "config")]
        of: SchemaOf,
    },
    /// What a check, metric, stage or sink does; without a name, all of them.
    Explain { name: Option<String> },
    /// The data gates and nothing else; the reports are those of a run.
    Check {
        #[command(flatten)]
        select: SelectArgs,
        /// Print the statements that would be sent, and which checks each of them answers.
        #[arg(long)]
        explain: bool,
    },
    /// Versions of datasets: write, compare, fetch, send and restore them; profiles of tables.
    Data {
        #[command(subcommand)]
        verb: DataVerb,
    },
    /// The registry of models: who may ship, and what exactly was shipped.
    Model {
        /// The model; by default `model.name`.
        #[arg(long, env = "MLOPS_MODEL", value_name = "NAME", global = true)]
        model: Option<String>,
        #[command(subcommand)]
        verb: ModelVerb,
    },
    /// Loads the seeds and nothing else; the reports are those of a run.
    Seed(BadRows),
    /// Apply or undo migrations, or show which are applied.
    Migrate {
        #[command(subcommand)]
        verb: MigrateVerb,
    },
}

#[derive(Debug, Clone, Default, Args)]
pub struct StagesArg {
    /// Only these stages, separated by commas.
    #[arg(long, env = "MLOPS_STAGES", value_delimiter = ',', value_name = "NAMES")]
    pub stages: Vec<String>,
}

/// Which checks.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectArgs {
    /// Only these data gates, separated by commas: `data.TABLE`, `data.TABLE.COLUMN`, `data.TABLE.COLUMN.CHECK`.
    #[arg(long, env = "MLOPS_ONLY", value_delimiter = ',', value_name = "SELECTORS")]
    pub only: Vec<String>,
    /// Only data gates with one of these tags, separated by commas.
    #[arg(long, env = "MLOPS_TAGS", value_delimiter = ',', value_name = "TAGS")]
    pub tags: Vec<String>,
    /// Only this part of the tables, such as `2/5`; by default GitLab's `parallel:` decides.
    #[arg(long, env = "MLOPS_SHARD", value_name = "PART/PARTS")]
    pub shard: Option<String>,
}

#[derive(Debug, Default, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub only: StagesArg,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Run on a throwaway server; write no file, register nothing, comment nowhere.
    #[arg(long, env = "MLOPS_DRY_RUN")]
    pub dry_run: bool,
    /// What makes the run fail; overrides `report.fail_on`.
    #[arg(long, env = "MLOPS_FAIL_ON")]
    pub fail_on: Option<FailOn>,
    /// The exit code of a run with warnings only (for GitLab's `allow_failure: exit_codes`).
    #[arg(long, env = "MLOPS_WARN_EXIT_CODE", value_name = "CODE")]
    pub warn_exit_code: Option<u8>,
    /// Whether the change gets a comment; overrides `report.comment`.
    #[arg(long, env = "MLOPS_COMMENT")]
    pub comment: Option<CommentWhen>,
    /// Fail when the comment cannot be posted.
    #[arg(long, env = "MLOPS_REQUIRE_COMMENT")]
    pub require_comment: bool,
    /// The token for the comment; else `GITHUB_TOKEN` or `GITLAB_TOKEN`.
    #[arg(long, env = "MLOPS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    #[command(flatten)]
    pub bad_rows: BadRows,
}

#[derive(Debug, Clone, Copy, Default, Args)]
pub struct BadRows {
    /// How many bad rows may be left out of each seeded table.
    #[arg(long, env = "MLOPS_MAX_BAD_ROWS", value_name = "ROWS", default_value_t = 0)]
    pub max_bad_rows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Failed,
    Warned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CommentWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    Config,
    Report,
}

/// The options of `run` that are inputs of the action: `(name, help, is a flag)`.
pub fn inputs() -> Vec<(String, String, bool)> {
    let command = Cli::command();
    let run = command.find_subcommand("run").cloned().unwrap_or_default();
    let hidden = ["help", "version", "verbose", "color", "progress", "postgres-bin"];
    let args = command.get_arguments().chain(run.get_arguments());
    let inputs = args.filter_map(|arg| {
        let name = arg.get_long().filter(|name| !hidden.contains(name))?;
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        Some((name.to_owned(), help, matches!(arg.get_action(), ArgAction::SetTrue)))
    });
    inputs.collect()
}

/// GitHub hands inputs over as `INPUT_DRY-RUN`; they become options, unless the option is given. An input that is not
/// set arrives empty, and so does an argument built from one.
pub fn with_inputs(args: Vec<String>, env: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    if args.iter().skip(1).find(|arg| !arg.is_empty()).map(String::as_str) != Some("run") {
        return Ok(args);
    }
    let mut args: Vec<String> = args.into_iter().enumerate().filter(|(i, arg)| *i == 0 || !arg.is_empty()).map(|(_, arg)| arg).collect();
    for (name, _, flag) in inputs() {
        // GitHub keeps the dashes of a name; GitLab's variables cannot hold them.
        let dashed = format!("INPUT_{}", name.to_uppercase());
        let given = env.get(&dashed).or_else(|| env.get(&dashed.replace('-', "_")));
        let Some(value) = given.map(|v| v.trim()).filter(|v| !v.is_empty()) else { continue };
        let option = format!("--{name}");
        if args.iter().any(|arg| *arg == option || arg.starts_with(&format!("{option}="))) {
            continue;
        }
        match (flag, value) {
            (false, value) => args.push(format!("{option}={value}")),
            (true, "true") => args.push(option),
            (true, "false") => {}
            (true, other) => return Err(format!("the input `{name}` is true or false, not `{other}`")),
        }
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_option_has_an_environment_name() {
        Cli::command().debug_assert();
        let command = Cli::command();
        let run = command.find_subcommand("run").expect("run");
        for arg in command.get_arguments().chain(run.get_arguments()) {
            let exempt = ["help", "version", "verbose"].contains(&arg.get_id().as_str());
            assert!(exempt || arg.get_env().is_some_and(|e| e.to_string_lossy().starts_with("MLOPS_")), "{}", arg.get_id());
        }
    }

    #[test]
    fn inputs_become_options_and_empty_ones_nothing() {
        let env = [("INPUT_DRY-RUN", "true"), ("INPUT_STAGES", "check"), ("INPUT_COMMENT", ""), ("INPUT_QUIET", "false")];
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let args = ["mlops", "run", "", "--stages=migrate"].map(str::to_owned).to_vec();
        assert_eq!(with_inputs(args, &env).expect("args"), ["mlops", "run", "--stages=migrate", "--dry-run"]);
    }

    #[test]
    fn an_input_that_is_neither_true_nor_false_is_a_mistake() {
        let env = [("INPUT_DRY-RUN".to_owned(), "yes".to_owned())].into();
        assert!(with_inputs(vec!["mlops".into(), "run".into()], &env).is_err());
    }
}
