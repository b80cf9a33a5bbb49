//! What DVC 3 writes, as it writes it: pointers, cache, folders and remotes. Its own commands go on with what we wrote,
//! and we read what it wrote: <https://dvc.org/doc/user-guide/project-structure>.

mod config;
mod pointer;
mod repo;
mod tree;

pub(super) use self::pointer::{Out, Pointer};
pub(super) use self::repo::{Repo, md5_of};
pub(super) use self::tree::{Entry, Tree};

/// Where an object lies below a cache or a remote.
pub(super) fn place(md5: &str) -> String {
    let (head, tail) = md5.split_at_checked(2).unwrap_or((md5, ""));
    format!("files/md5/{head}/{tail}")
}

/// Whether this can be the name of an object: anything else in a pointer would be a path of somebody's choice.
pub(super) fn is_md5(text: &str) -> bool {
    let digits = text.strip_suffix(".dir").unwrap_or(text);
    digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}
