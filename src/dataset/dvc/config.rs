//! `.dvc/config`, `.dvc/config.local`, and those of the machine: sections, keys, and the remotes among them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption};

/// What was set, section by section; the later file wins, key by key. Names are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Config {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

impl Config {
    /// The files that are there, the most general one first.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, String> {
        let mut config = Self::default();
        for file in files.iter().filter(|file| file.is_file()) {
            let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
            config.merge(&text, file).map_err(|why| format!("{}: {why}", file.display()))?;
        }
        Ok(config)
    }

    fn merge(&mut self, text: &str, file: &Path) -> Result<(), String> {
        let options = ParseOption { enabled_escape: false, ..ParseOption::default() };
        let ini = Ini::load_from_str_opt(text, options).map_err(|e| e.to_string())?;
        for (name, values) in &ini {
            let name = name.unwrap_or_default().trim().trim_matches('\'').to_lowercase();
            let section = self.sections.entry(name).or_default();
            for (key, value) in values {
                let key = key.trim().to_lowercase();
                let value = value.trim();
                // A path is relative to the file that says it.
                let is_path = matches!(key.as_str(), "url" | "dir" | "credentialpath") && is_relative(value);
                let value = if is_path { file.parent().unwrap_or(file).join(value).display().to_string() } else { value.to_owned() };
                section.insert(key, value);
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.sections.get(section)?.get(key).map(String::as_str)
    }

    /// A remote's settings.
    pub(super) fn remote(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.sections.get(&format!("remote \"{}\"", name.to_lowercase()))
    }

    pub(super) fn remotes(&self) -> impl Iterator<Item = &str> + Clone {
        self.sections.keys().filter_map(|name| name.strip_prefix("remote \"")?.strip_suffix('"'))
    }
}

fn is_relative(value: &str) -> bool {
    !value.contains("://") && !value.starts_with('~') && !Path::new(value).is_absolute()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_file_wins_and_paths_are_relative_to_their_file() {
        let mut config = Config::default();
        let shared = "[core]\n    remote = Store\n    autostage = true\n['remote \"store\"']\n    url = s3://bucket/dvc # ours\n    region = eu-west-1\n['remote \"near\"']\n    url = ../../store\n";
        config.merge(shared, Path::new("/repo/.dvc/config")).expect("shared");
        config.merge("['remote \"store\"']\nREGION = us-east-1\nsecret_access_key = \"a=b\"\n", Path::new("/repo/.dvc/config.local")).expect("local");
        assert_eq!(config.get("core", "remote"), Some("Store"));
        let store = config.remote("Store").expect("store");
        assert_eq!(store.get("region").map(String::as_str), Some("us-east-1"));
        assert_eq!(store.get("url").map(String::as_str), Some("s3://bucket/dvc"));
        assert_eq!(store.get("secret_access_key").map(String::as_str), Some("a=b"));
        assert_eq!(config.remote("near").and_then(|r| r.get("url")).map(String::as_str), Some("/repo/.dvc/../../store"));
        assert_eq!(config.remotes().collect::<Vec<_>>(), ["near", "store"]);
    }
}
