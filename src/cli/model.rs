//! `mlops model …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

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
