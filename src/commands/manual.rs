//! What a package of the program carries beside it: completions and manual pages.

use std::path::Path;

use clap::CommandFactory as _;

use super::{Failure, Outcome, say};
use crate::cli::Cli;
use crate::outcome::exit;
use crate::ports::files;

pub(super) fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mlops", &mut script);
    say(&String::from_utf8_lossy(&script));
}

pub(super) fn man(folder: Option<&Path>) -> Outcome {
    let Some(folder) = folder else {
        say(&page(Cli::command())?);
        return Ok(exit::PASSED);
    };
    let mut pages = Vec::new();
    pages_of(Cli::command(), "mlops", &mut pages)?;
    for (name, text) in &pages {
        files::write(&folder.join(format!("{name}.1")), text.as_bytes(), folder).map_err(Failure::broken)?;
    }
    say(&format!("{}: {} pages\n", folder.display(), pages.len()));
    Ok(exit::PASSED)
}

fn page(command: clap::Command) -> Result<String, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).map_err(Failure::broken)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `mlops.1`, `mlops-run.1`, `mlops-data-diff.1`, …
fn pages_of(command: clap::Command, name: &str, pages: &mut Vec<(String, String)>) -> Result<(), Failure> {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        pages_of(verb.clone(), &format!("{name}-{}", verb.get_name()), pages)?;
    }
    pages.push((name.to_owned(), page(command.name(name.to_owned()))?));
    Ok(())
}
