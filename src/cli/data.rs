//! `mlops data …`

use clap::Subcommand;

use crate::profile::Profile;

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
