//! Seeds: rows into tables by COPY, in the order in which the tables refer to each other, skipped while file and table
//! are the same as last time.

mod bad;
mod copy;
mod empty;
mod entry;
mod feed;
mod load;
mod order;
mod plan;
mod rejects;
mod source;
mod survey;
mod table;

pub use self::entry::{Entry, Load, Mode, Task};
pub use self::load::{Loaded, Options, What, load};

use crate::ports::files::FileError;
use crate::ports::postgres::PgError;

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// What was asked for does not fit the file or the table.
    #[error("{0}")]
    Wrong(String),
    #[error(transparent)]
    Server(#[from] PgError),
}

impl SeedError {
    /// Data that the table refuses is a failure; a file that cannot be read or a lost server was not evaluated.
    pub fn is_verdict(&self) -> bool {
        match self {
            Self::Wrong(_) => true,
            Self::Server(error) => error.is_statement(),
            Self::File(_) | Self::Unreadable(_) => false,
        }
    }
}
