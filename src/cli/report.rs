use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// How a report reads and where it goes.
#[derive(Debug, Clone, Default, Args)]
pub struct ReportArgs {
    /// What makes the run fail; overrides `report.fail_on`.
    #[arg(long, env = "MLOPS_FAIL_ON")]
    pub fail_on: Option<FailOn>,
    /// The exit code of a run with warnings only (for GitLab's `allow_failure: exit_codes`).
    #[arg(long, env = "MLOPS_WARN_EXIT_CODE", value_name = "CODE")]
    pub warn_exit_code: Option<u8>,
    /// Whether the change gets a comment; overrides `report.comment`.
    #[arg(long, env = "MLOPS_COMMENT")]
    pub comment: Option<CommentWhen>,
    /// A name for a comment of this job's own; without one, the jobs of a project share theirs.
    #[arg(long, env = "MLOPS_COMMENT_KEY", value_name = "NAME")]
    pub comment_key: Option<String>,
    /// The pull or merge request to comment on; else that of the event.
    #[arg(long, env = "MLOPS_PR_NUMBER", value_name = "NUMBER")]
    pub pr_number: Option<u64>,
    /// Fail when the comment cannot be posted.
    #[arg(long, env = "MLOPS_REQUIRE_COMMENT")]
    pub require_comment: bool,
    /// The token for the comment; else `GITHUB_TOKEN` or `GITLAB_TOKEN`.
    #[arg(long, env = "MLOPS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ReportVerb {
    /// One report, comment, JUnit file and verdict from those of several jobs.
    Merge {
        /// Files, or folders in which every `report.json` is taken.
        #[arg(required = true, value_name = "REPORTS", value_delimiter = ',', env = "MLOPS_REPORTS")]
        reports: Vec<PathBuf>,
        /// How many reports there must be; fewer are not a green run.
        #[arg(long, env = "MLOPS_EXPECT", value_name = "COUNT")]
        expect: Option<usize>,
        /// The exit code says only whether the report was delivered: for a job that comments what another one judged.
        #[arg(long, env = "MLOPS_REPORT_ONLY")]
        report_only: bool,
        #[command(flatten)]
        report: ReportArgs,
    },
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
