//! `mlops migrate …`

use std::path::PathBuf;

use clap::Subcommand;

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
