//! The command line. Every option has an environment name; the action's inputs become options.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::profile::Profile;

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

#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// Writes the datasets' rows as new versions, all from one snapshot.
    Export {
        /// The datasets; by default all of them.
        names: Vec<String>,
        /// Pushes them too, to the dataset's `remote` or the default one.
        #[arg(long)]
        push: bool,
    },
    /// Sends versions from the cache to a remote.
    Push {
        /// The datasets; by default all of them.
        names: Vec<String>,
        /// A remote of .dvc/config or a URL; by default the dataset's `remote`, or the default one.
        #[arg(long)]
        remote: Option<String>,
    },
    /// Fetches versions from a remote, and puts them in their places.
    Pull {
        /// The datasets; by default all of them.
        names: Vec<String>,
        /// A remote of .dvc/config or a URL; by default the dataset's `remote`, or the default one.
        #[arg(long)]
        remote: Option<String>,
        /// Overwrites data that no version has.
        #[arg(long)]
        force: bool,
    },
    /// Brings a version back: into its place, into another file, or into a table.
    Load {
        /// The dataset.
        name: String,
        /// The commit whose pointer is meant; by default the pointer that lies there.
        #[arg(long, value_name = "COMMIT")]
        at: Option<String>,
        /// Another file or folder, relative to mlops.yml, where nothing is yet.
        #[arg(long, value_name = "PATH", conflicts_with = "table")]
        to: Option<String>,
        /// A table, whose rows are replaced by COPY in one transaction.
        #[arg(long)]
        table: Option<String>,
        /// Overwrites data that no version has.
        #[arg(long)]
        force: bool,
    },
    /// Compares the data with its pointer.
    Verify {
        /// The datasets; by default all of them.
        names: Vec<String>,
        /// Compares the pointer with the rows of the database too: the server sums their digests.
        #[arg(long)]
        live: bool,
    },
    /// Shows the datasets and the versions that the history of git has.
    List {
        /// Every version, not the last five.
        #[arg(long)]
        all: bool,
    },
    /// Shows where a version comes from, and what it goes into.
    Lineage {
        /// The dataset.
        name: String,
    },
    /// Compares two versions: schema, rows, keys, and how far each column has moved.
    Diff {
        /// A dataset as a commit has it (`training@HEAD~1`), as its pointer is now (`training`), or a Parquet file.
        before: String,
        /// The other side; by default the dataset as its pointer is now.
        after: Option<String>,
        /// The columns that tell rows apart; by default the dataset's `order_by`.
        #[arg(long, value_delimiter = ',')]
        key: Vec<String>,
    },
    /// Restores the pointer and the data of an earlier version.
    Rollback {
        /// The dataset.
        name: String,
        /// The commit whose version is wanted.
        #[arg(long, value_name = "COMMIT")]
        to: String,
        /// Puts its rows into this table too, if the database has the schema revision that the version belongs to.
        #[arg(long, value_name = "TABLE")]
        table: Option<String>,
        /// Overwrites data that no version has.
        #[arg(long)]
        force: bool,
    },
    /// Writes what tables look like now: the baseline of `drift`, `volume`, `categories` and `schema`.
    Profile {
        /// The tables; by default those under `gates.data`.
        tables: Vec<String>,
        /// The file, relative to mlops.yml.
        #[arg(long, value_name = "FILE", default_value = Profile::FILE)]
        out: String,
    },
}

/// Versions are named by number (`3`), `latest`, stage (`@production`) or label.
#[derive(Debug, Subcommand)]
pub enum ModelVerb {
    /// Registers the model as it lies there; without a report its gates count as not evaluated.
    Register {
        /// The report of an earlier job, whose gates are the version's; it must be of the same commit and artifact.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// The versions, the newest first; without a model in mlops.yml, the models.
    List {
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Every version.
        #[arg(long, conflicts_with = "limit")]
        all: bool,
        /// The models instead.
        #[arg(long)]
        models: bool,
    },
    /// Everything about a version.
    Show {
        #[arg(default_value = "latest")]
        version: String,
    },
    /// Versions that meet every condition: `metrics.roc_auc >= 0.8`, `params.depth = 3`, `data = 22a1`, `database ~ "15"`.
    Search {
        #[arg(required = true)]
        conditions: Vec<String>,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// In every model.
        #[arg(long)]
        everywhere: bool,
    },
    /// Puts a version into a stage, if the stage's policy allows it.
    Promote {
        #[arg(default_value = "latest")]
        version: String,
        /// The stage; by default `registry.promote.to`.
        #[arg(long, value_name = "STAGE")]
        to: Option<String>,
        /// Only if this version stands there now, or `none`.
        #[arg(long, value_name = "VERSION")]
        expect_current: Option<String>,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Puts back what stood in a stage before.
    Rollback {
        /// The stage.
        #[arg(long)]
        stage: String,
        /// A version that has stood there; by default the one before.
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        #[command(flatten)]
        how: HowArgs,
    },
    /// What stands in a stage, or in each of them.
    Current {
        /// The stage.
        #[arg(long)]
        stage: Option<String>,
        /// Prints this alone.
        #[arg(long)]
        print: Option<CurrentPart>,
    },
    /// What happened, the newest first.
    History {
        /// Only about this stage.
        #[arg(long)]
        stage: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// What differs between two versions.
    Compare { one: String, other: String },
    /// Whether history, versions, stages and artifacts are what was written.
    Verify {
        /// Not the artifacts.
        #[arg(long)]
        no_artifacts: bool,
        /// The digest that the history must end with or have passed through.
        #[arg(long, value_name = "DIGEST")]
        head: Option<String>,
    },
    /// Approves of a version for a stage.
    Approve {
        version: String,
        #[arg(long)]
        stage: String,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Rejects a version for a stage.
    Reject {
        version: String,
        #[arg(long)]
        stage: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// No promotion and no rollback leads to this version any more.
    Quarantine {
        version: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Nobody should promote this version any more.
    Deprecate {
        version: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Lifts quarantine and deprecation.
    Release {
        version: String,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Brings a version's artifact here, every byte verified.
    Fetch {
        version: String,
        /// A file or folder that is not there yet, relative to mlops.yml.
        #[arg(long, value_name = "PATH")]
        to: String,
    },
    /// Takes over tables of models, versions and deployments that somebody else has filled, and says where they contradict each other.
    Adopt {
        /// The schema with the tables `models`, `model_versions` and `deployments`.
        #[arg(long, default_value = "public")]
        schema: String,
        /// Says what would be taken over, and changes nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Delivers to MLflow what waits.
    Sync {
        /// Only compares: says what somebody changed in MLflow by hand.
        #[arg(long)]
        check: bool,
        /// Every version that MLflow has not heard of, not only those that stand in a stage.
        #[arg(long, conflicts_with = "check")]
        all: bool,
    },
    /// Where a version comes from and where it went: the chain from data to deployment.
    Trace {
        #[arg(default_value = "latest")]
        version: String,
        /// Of a deployment, by its number.
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["dataset", "commit"])]
        deployment: Option<i64>,
        /// Of every version that was made from a dataset: its name, md5 or digest.
        #[arg(long, value_name = "DATASET", conflicts_with = "commit")]
        dataset: Option<String>,
        /// Of every version of a commit.
        #[arg(long)]
        commit: Option<String>,
        /// As a Mermaid graph.
        #[arg(long)]
        mermaid: bool,
    },
    /// A version for others: everything as JSON, a model card, or its provenance.
    Export {
        #[arg(default_value = "latest")]
        version: String,
        /// The form.
        #[arg(long = "as", default_value = "json")]
        form: ExportForm,
        /// Signs the provenance: a private key in PEM (PKCS #8, Ed25519 or ECDSA P-256).
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

/// How a promotion or rollback goes about it.
#[derive(Debug, Default, Args)]
pub struct HowArgs {
    /// Obstacles that may be passed, by their words, separated by commas; they go into the history with the reason.
    #[arg(long, value_delimiter = ',', value_name = "WORDS", requires = "reason")]
    pub allow: Vec<String>,
    /// Why, for the history.
    #[arg(long)]
    pub reason: Option<String>,
    /// Says what would happen, and changes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CurrentPart {
    /// The number.
    Version,
    /// The label.
    Label,
    /// Where the artifact is kept.
    Uri,
    /// The artifact's digest.
    Sha256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// Everything that the registry knows.
    Json,
    /// Markdown for people, of recorded facts only.
    Card,
    /// An in-toto statement with SLSA provenance.
    Provenance,
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

#[derive(Debug, Subcommand)]
pub enum MigrateVerb {
    /// Apply what is pending.
    Up,
    /// Undo the last migrations.
    Down {
        /// How many.
        #[arg(default_value_t = 1, conflicts_with = "to")]
        steps: usize,
        /// Undo every migration above this version; 0 undoes all.
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
    },
    /// Go to a version from either side; 0 undoes all.
    To { version: String },
    /// Which migrations are applied: when, by whom, and how long it took.
    Status,
    /// What `up` would do, and what stands in its way; changes nothing.
    Plan,
    /// What new migrations lose, lock or leave behind; with a database, weighed by its tables.
    Lint {
        /// Look at every migration, not only at what is pending.
        #[arg(long)]
        all: bool,
    },
    /// Takes new migrations up, down and up again on a scratch database.
    Verify {
        /// Try every migration, not only what is pending.
        #[arg(long)]
        all: bool,
    },
    /// What someone changed by hand since the last migration, object by object.
    Drift,
    /// Prints the script that `up` (or `down`) would run, for psql.
    Sql {
        /// The version before the first; by default nothing is taken to be applied.
        #[arg(long, value_name = "VERSION")]
        from: Option<String>,
        /// The last version.
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        /// The way back: from `--from` (by default the last) down to `--to` (by default nothing).
        #[arg(long)]
        down: bool,
    },
    /// Writes the files of a new migration.
    New {
        /// What it does, in words.
        name: String,
        /// A view or a function, applied again whenever it changes.
        #[arg(long)]
        repeatable: bool,
        /// A time stamp as the version, whatever the other files have.
        #[arg(long)]
        timestamp: bool,
    },
    /// Takes over the history of Alembic, dbmate, Flyway, golang-migrate, goose or sqlx.
    Import {
        /// Whose history; by default whichever is there.
        tool: Option<String>,
        /// Alembic's settings; its revisions are written into `migrate.dir` as SQL.
        #[arg(long, value_name = "FILE", default_value = "alembic.ini")]
        ini: PathBuf,
    },
    /// What a merge into another branch would break: a version that is taken, or older than its last, or edited.
    Check {
        /// The branch, such as `origin/main`.
        #[arg(long, env = "MLOPS_BASE", value_name = "COMMIT")]
        base: String,
    },
    /// Records migrations as applied without running them, for a database that has their schema already.
    Stamp {
        /// The last version that is there, or `head`.
        version: String,
    },
    /// Mends the history: takes the new text of an edited file, or says how a cut-off statement ended.
    Repair {
        /// One version; without it, every edited file of which only comments and layout changed.
        version: Option<String>,
        /// Take the new text although its statements changed too.
        #[arg(long)]
        force: bool,
        /// This statement took effect.
        #[arg(long, value_name = "STATEMENT", conflicts_with_all = ["force", "redo", "forget"], requires = "version")]
        done: Option<usize>,
        /// This statement did not take effect.
        #[arg(long, value_name = "STATEMENT", conflicts_with_all = ["force", "forget"], requires = "version")]
        redo: Option<usize>,
        /// The version is not applied at all: what it did was undone by hand.
        #[arg(long, conflicts_with = "force", requires = "version")]
        forget: bool,
    },
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
