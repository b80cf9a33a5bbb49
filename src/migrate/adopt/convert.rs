//! Alembic's revisions as files of ours. Each says from which revision it was made, so that the next time only new ones
//! are added.

use std::collections::BTreeMap;

use crate::migrate::files::Folder;
use crate::migrate::script::Script;
use crate::migrate::version::Version;
use crate::ports::alembic::{Environment, Revision};

/// In the first comment of a file.
const MADE_FROM: &str = "-- alembic revision ";

pub struct Converted {
    /// Files to write: name and text.
    pub files: Vec<(String, String)>,
    /// Of every revision, its version here and what it needs.
    pub revisions: BTreeMap<String, (Version, Vec<String>)>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// New revisions as files behind the last one of the folder.
pub fn convert(environment: &Environment, folder: &Folder) -> Converted {
    let mut made: BTreeMap<String, Version> = BTreeMap::new();
    for m in &folder.migrations {
        if let Some(revision) = m.up.text.lines().find_map(|line| line.strip_prefix(MADE_FROM)) {
            made.insert(revision.split([':', ' ']).next().unwrap_or_default().to_owned(), m.version.clone());
        }
    }
    let mut converted = Converted { files: vec![], revisions: BTreeMap::new(), notes: vec![] };
    let mut last = folder.migrations.last().and_then(|m| m.version.next());
    for revision in &environment.revisions {
        let version = made.get(&revision.id).cloned().or_else(|| {
            let version = last.take().or_else(|| Version::parse("0001"))?;
            last = version.next();
            converted.write(revision, &version);
            Some(version)
        });
        converted.revisions.extend(version.map(|version| (revision.id.clone(), (version, revision.parents.clone()))));
    }
    if let Some(why) = &environment.no_down {
        converted.notes.push(format!("not every revision can be undone as SQL ({why}); the files of the others have no down part"));
    }
    converted
}

impl Converted {
    fn write(&mut self, revision: &Revision, version: &Version) {
        let stem = format!("{version}_{}", slug(&revision.doc, &revision.id));
        let text = |statements: &[String]| {
            let doc = revision.doc.lines().next().unwrap_or_default();
            let no_transaction = if revision.autocommit { "-- mlops: no-transaction\n" } else { "" };
            format!("{MADE_FROM}{}: {doc}\n{no_transaction}\n{}\n", revision.id, statements.join("\n\n"))
        };
        // A revision may only join two branches: then it does nothing, and says so.
        let nothing = ["do $$ begin end $$;".to_owned()];
        let says_nothing = |statements: &[String]| Script::new("", 0, &statements.join("\n")).is_empty();
        let up = if says_nothing(&revision.up) { text(&nothing) } else { text(&revision.up) };
        self.files.push((format!("{stem}.up.sql"), up));
        if let Some(down) = &revision.down {
            let down = if says_nothing(down) && says_nothing(&revision.up) { text(&nothing) } else { text(down) };
            self.files.push((format!("{stem}.down.sql"), down));
        }
    }
}

/// Words of a message as a file name.
fn slug(doc: &str, id: &str) -> String {
    let words: Vec<String> = doc
        .lines()
        .next()
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .scan(0, |length, word| {
            *length += word.len() + 1;
            (*length <= 40).then_some(word)
        })
        .collect();
    if words.is_empty() { id.to_owned() } else { words.join("_") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::files::parse;
    use crate::migrate::vars::Vars;

    fn revision(id: &str, parents: &[&str], doc: &str, up: &[&str]) -> Revision {
        let list = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        Revision { id: id.into(), parents: list(parents), doc: doc.into(), up: list(up), down: Some(vec!["select 2;".into()]), autocommit: false }
    }

    #[test]
    fn every_revision_becomes_a_file_once() {
        let mut environment = Environment {
            revisions: vec![revision("a1", &[], "Create users, and more!", &["create table t (i int);"]), revision("b2", &["a1"], "", &[])],
            no_down: None,
        };
        let first = convert(&environment, &Folder::default());
        let names: Vec<&str> = first.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["0001_create_users_and_more.up.sql", "0001_create_users_and_more.down.sql", "0002_b2.up.sql", "0002_b2.down.sql"]);
        assert_eq!(first.files[0].1, "-- alembic revision a1: Create users, and more!\n\ncreate table t (i int);\n");
        let folder = parse(&first.files, &Vars::default()).expect("folder");
        assert!(convert(&environment, &folder).files.is_empty());
        environment.revisions.push(revision("c3", &["b2"], "index", &["select 3;"]));
        environment.revisions[2].autocommit = true;
        let second = convert(&environment, &folder);
        assert_eq!(second.files[0], ("0003_index.up.sql".into(), "-- alembic revision c3: index\n-- mlops: no-transaction\n\nselect 3;\n".into()));
        assert_eq!(second.revisions["c3"], (Version::parse("0003").expect("version"), vec!["b2".to_owned()]));
    }
}
