//! `mlops validate`: every mistake in mlops.yml, in every environment it describes.

use super::{Outcome, Shell, say};
use crate::config::environments;
use crate::mistakes::Mistakes;
use crate::outcome::exit;

pub(super) fn validate(shell: &Shell) -> Outcome {
    let (text, shown) = shell.read_config()?;
    let mut mistakes = Mistakes::default();
    let chosen = shell.global.environment.clone();
    let all: Vec<Option<String>> = match chosen {
        Some(name) => vec![Some(name)],
        None => std::iter::once(None).chain(environments(&text).into_iter().map(Some)).collect(),
    };
    for environment in &all {
        // The mistakes of the common part are found again in each environment, and kept once.
        let _ = shell.try_load(&text, &shown, environment.as_deref(), &[], &mut mistakes);
    }
    if !mistakes.is_empty() {
        return Err(shell.mistaken(&mistakes, &shown, &text));
    }
    let names: Vec<String> = all.into_iter().flatten().collect();
    let also = if names.is_empty() { String::new() } else { format!(" (environments: {})", names.join(", ")) };
    say(&if shell.json() { "{\"mistakes\": []}\n".to_owned() } else { format!("{shown} is valid{also}\n") });
    Ok(exit::PASSED)
}
