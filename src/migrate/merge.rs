//! What a merge would break, found before it: two branches with one version, a version behind what the other branch has
//! already, a migration that was edited after it had gone out.

use super::files::Folder;
use super::{MigrateError, Options};

/// The folder here, in the branch that is merged into, and where the two parted.
pub fn against(here: &Folder, base: &Folder, parted: &Folder, options: &Options) -> Vec<MigrateError> {
    let mut wrong = Vec::new();
    let head = base.migrations.last();
    let free = here.migrations.iter().chain(&base.migrations).map(|m| &m.version).max().and_then(|v| v.next()).map(|v| v.to_string());
    for migration in &here.migrations {
        let (version, file) = (migration.version.to_string(), migration.file().to_owned());
        if let Some(before) = parted.find(&migration.version) {
            if before.checksum != migration.checksum {
                wrong.push(MigrateError::Edited { version, file, harmless: before.up.meaning() == migration.up.meaning() });
            }
        } else if let Some(other) = base.find(&migration.version) {
            if (other.file(), &other.checksum) != (migration.file(), &migration.checksum) {
                wrong.push(MigrateError::Taken { version, file, other: other.file().to_owned(), free: free.clone() });
            }
        } else if let Some(head) = head.filter(|head| migration.version < head.version && !options.out_of_order) {
            wrong.push(MigrateError::OutOfOrder { file, head: head.version.to_string(), free: free.clone() });
        }
    }
    let gone = parted.migrations.iter().filter(|m| here.find(&m.version).is_none());
    wrong.extend(gone.map(|m| MigrateError::Gone { version: m.version.to_string(), name: m.name.clone() }));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::files::parse;
    use crate::migrate::vars::Vars;

    fn folder(files: &[(&str, &str)]) -> Folder {
        let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        parse(&files, &Vars::default()).expect("folder")
    }

    #[test]
    fn what_a_merge_would_break_is_told() {
        let parted = folder(&[("0001_a.sql", "select 1"), ("0002_b.sql", "select 2")]);
        let base = folder(&[("0001_a.sql", "select 1"), ("0002_b.sql", "select 2"), ("0003_c.sql", "select 3"), ("0005_e.sql", "select 5")]);
        let said = |files: &[(&str, &str)]| {
            against(&folder(files), &base, &parted, &Options::default()).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let (a, b) = (("0001_a.sql", "select 1"), ("0002_b.sql", "select 2"));
        // A branch that is behind, one that goes on behind the other's last, one that has merged already.
        for fine in [&[a, b][..], &[a, b, ("0006_f.sql", "select 6")], &[a, b, ("0003_c.sql", "select 3")]] {
            assert_eq!(said(fine), "", "{fine:?}");
        }
        assert!(said(&[a, b, ("0003_mine.sql", "select 9")]).contains("version 0003 is taken by 0003_c.sql"));
        assert!(said(&[a, b, ("0004_mine.sql", "select 9")]).contains("older than 0005"));
        assert!(said(&[a, ("0002_b.sql", "select 22")]).contains("0002_b.sql was edited after it had been applied"));
        assert!(said(&[a]).contains("version 0002 (b)"));
    }
}
