//! `mlops plan`: what `run` would do, in words or as JSON. Reads mlops.yml and nothing else.

use std::fmt::Write as _;

use super::{Outcome, Shell, say};
use crate::cli::{SelectArgs, StagesArg};
use crate::outcome::exit;
use crate::pipeline::Planned;

pub(super) fn plan(shell: &Shell, only: &StagesArg, select: &SelectArgs) -> Outcome {
    let mut loaded = shell.load(&only.stages)?;
    loaded.select(&select.selection(&shell.env)?)?;
    let stages = &loaded.plan.stages;
    let needs = |p: &Planned| p.kind.needs.iter().filter(|n| stages.iter().any(|s| s.kind.name == **n)).copied().collect::<Vec<_>>();
    if shell.json() {
        let row = |p: &Planned| serde_json::json!({"stage": p.kind.name, "needs": needs(p), "steps": p.stage.describe()});
        let rows: Vec<_> = stages.iter().map(row).collect();
        say(&format!("{:#}\n", serde_json::json!({"project": loaded.config.core.project, "stages": rows})));
    } else {
        let mut text = String::new();
        for planned in stages {
            let _ = writeln!(text, "{}", planned.kind.name);
            for step in planned.stage.describe() {
                let _ = writeln!(text, "  {step}");
            }
        }
        say(&text);
    }
    Ok(exit::PASSED)
}
