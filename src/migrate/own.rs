//! The tool's own migrations, embedded from `migrations/`.

use super::files::{Folder, parse};
use super::vars::Vars;

const FILES: [(&str, &str); 8] = [
    ("0001_mlops.up.sql", include_str!("../../migrations/0001_mlops.up.sql")),
    ("0001_mlops.down.sql", include_str!("../../migrations/0001_mlops.down.sql")),
    ("0002_seed_bad_rows.up.sql", include_str!("../../migrations/0002_seed_bad_rows.up.sql")),
    ("0002_seed_bad_rows.down.sql", include_str!("../../migrations/0002_seed_bad_rows.down.sql")),
    ("0003_measures.up.sql", include_str!("../../migrations/0003_measures.up.sql")),
    ("0003_measures.down.sql", include_str!("../../migrations/0003_measures.down.sql")),
    ("0004_registry.up.sql", include_str!("../../migrations/0004_registry.up.sql")),
    ("0004_registry.down.sql", include_str!("../../migrations/0004_registry.down.sql")),
];

pub fn migrations() -> Folder {
    let files: Vec<(String, String)> = FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    parse(&files, &Vars::default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded_and_can_be_undone() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
            .filter(|name| name.ends_with(".sql"))
            .collect();
        names.sort();
        let mut embedded: Vec<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        embedded.sort();
        assert_eq!(names, embedded);
        assert!(!migrations().is_empty() && migrations().migrations.iter().all(|m| m.down.is_some()));
    }
}
