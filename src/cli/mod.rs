//! The command line. Every option has an environment name; the action's inputs become options.

mod data;
mod inputs;
mod migrate;
mod model;
mod report;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use self::data::DataVerb;
pub use self::inputs::{Input, inputs, with_inputs};
pub use self::migrate::MigrateVerb;
pub use self::model::{CurrentPart, ExportForm, HowArgs, ModelVerb};
pub use self::report::{CommentWhen, FailOn, ReportArgs, ReportVerb};

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
    /// Read mlops.yml although the event is `pull_request_target`, where it may be anybody's and the secrets are yours.
    #[arg(long, global = true, env = "MLOPS_ALLOW_PULL_REQUEST_TARGET")]
    pub allow_pull_request_target: bool,
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
    /// A starter mlops.yml from what is here (and in a database), with a workflow or GitLab job; nothing is overwritten.
    Init {
        /// For which platform the job is; by default the one that the repository shows.
        #[arg(long, env = "MLOPS_CI", value_name = "PLATFORM")]
        ci: Option<Platform>,
        /// Tables to propose gates for; by default all.
        #[arg(long, env = "MLOPS_TABLES", value_delimiter = ',', value_name = "TABLES")]
        tables: Vec<String>,
    },
    /// Database, token, event and tools: what is missing here, and what to do about it.
    Doctor {
        /// The token to look at; else `GITHUB_TOKEN` or `GITLAB_TOKEN`.
        #[arg(long, env = "MLOPS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
        token: Option<String>,
    },
    /// Completions for a shell.
    Completions { shell: Shell },
    /// The manual page, or one for every verb in a folder.
    Man {
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Reports of several jobs as one, delivered everywhere.
    Report {
        #[command(subcommand)]
        verb: ReportVerb,
    },
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
    /// What this job is called among those that run beside it, such as `py3.12`; by default its shard.
    #[arg(long, env = "MLOPS_LEG", value_name = "NAME")]
    pub leg: Option<String>,
    #[command(flatten)]
    pub report: ReportArgs,
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
pub enum Platform {
    Github,
    Gitlab,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    Config,
    Report,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

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
}
