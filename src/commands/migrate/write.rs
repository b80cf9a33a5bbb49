//! New files, and the script for psql.

use super::{Failure, Migrations, Outcome, Shell, say};
use crate::migrate::{Way, offline_script};
use crate::outcome::exit;

pub(super) fn sql(shell: &Shell, all: &Migrations, from: Option<&str>, to: Option<&str>, down: bool) -> Outcome {
    let version = |text: Option<&str>| text.filter(|t| !t.bytes().all(|b| b == b'0')).map(|t| all.version(t)).transpose();
    let (from, to) = (version(from)?, version(to)?);
    let way = if down { Way::Down } else { Way::Up };
    let text = offline_script(&all.folder, way, from.as_ref(), to.as_ref(), &all.options).map_err(Failure::usage)?;
    if shell.json() {
        say(&format!("{:#}\n", serde_json::json!({"sql": text})));
    } else {
        say(&text);
    }
    Ok(exit::PASSED)
}

pub(super) fn new(shell: &Shell, all: &Migrations, name: &str, repeatable: bool, timestamp: bool) -> Outcome {
    let slug = name.to_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join("_");
    if slug.is_empty() {
        return Err(Failure::usage(format!("`{name}` has no letter or digit to name a file after")));
    }
    let last = all.folder.migrations.last();
    let stamp = || chrono::Utc::now().format("%Y%m%d%H%M%S").to_string();
    let version = match last {
        _ if timestamp => stamp(),
        None => "0001".into(),
        Some(last) => last.version.next().map_or_else(stamp, |v| v.to_string()),
    };
    let one_file = last.is_some_and(|m| m.down.as_ref().is_some_and(|down| down.file == m.up.file));
    let files: Vec<(String, String)> = if repeatable {
        vec![(format!("R__{slug}.sql"), format!("-- {name}: applied again whenever this file changes\n"))]
    } else if one_file {
        vec![(format!("{version}_{slug}.sql"), format!("-- migrate:up\n-- {name}\n\n-- migrate:down\n"))]
    } else {
        vec![(format!("{version}_{slug}.up.sql"), format!("-- {name}\n")), (format!("{version}_{slug}.down.sql"), format!("-- undoes: {name}\n"))]
    };
    let paths: Vec<String> = files.iter().map(|(file, _)| format!("{}/{file}", all.section.dir)).collect();
    if let Some(path) = paths.iter().find(|path| all.loaded.workspace.path(path).is_ok_and(|p| p.exists())) {
        return Err(Failure::usage(format!("{path} is there already")));
    }
    for (path, (_, text)) in paths.iter().zip(&files) {
        all.loaded.workspace.write(path, text.as_bytes()).map_err(Failure::broken)?;
    }
    if shell.json() {
        say(&format!("{:#}\n", serde_json::json!({"files": paths})));
    } else {
        paths.iter().for_each(|path| say(&format!("{path}\n")));
    }
    Ok(exit::PASSED)
}
