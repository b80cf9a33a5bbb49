//! Configuration and catalogues → a checked, printable plan. No I/O; every mistake with its place in the file.

use crate::config::Config;
use crate::mistakes::{Mistakes, Place};
use crate::node::{Node, Value};
use crate::stages::{Kind, Stage, kinds};

/// The stages of a run, in order.
pub struct Plan {
    pub stages: Vec<Planned>,
}

pub struct Planned {
    pub kind: Kind,
    pub stage: Box<dyn Stage>,
}

/// The parts of `mlops.yml` that belong to stages.
pub fn sections() -> Vec<&'static str> {
    kinds().into_iter().map(|kind| kind.section).collect()
}

/// A stage runs when its section is there; `only` narrows that down (empty: all). `connect` comes with whoever needs it.
pub fn plan(config: &Config, file: &str, only: &[String], mistakes: &mut Mistakes) -> Plan {
    let mut stages: Vec<Planned> = Vec::new();
    let chosen = |kind: &Kind| only.is_empty() || only.iter().any(|name| name == kind.name);
    for kind in kinds() {
        // The database's section may be left out: it has defaults.
        let empty = Node::map(vec![], Place::default());
        let section = if kind.section == "database" { Some(config.section(kind.section).unwrap_or(&empty)) } else { config.section(kind.section) };
        let Some(node) = section else { continue };
        if kind.section != "database" && matches!(&node.value, Value::Map(entries) if entries.is_empty())
            || matches!(&node.value, Value::List(items) if items.is_empty())
        {
            mistakes.add(node.place, format!("`{}` is empty", kind.section));
            continue;
        }
        // Built even when not chosen: a typo in any section is a typo.
        if let Some(stage) = (kind.build)(node, file, mistakes) {
            stages.push(Planned { kind, stage });
        }
    }
    let database = stages.iter().any(|p| (p.kind.database || p.stage.reads_database()) && p.kind.section != "database" && chosen(&p.kind));
    stages.retain(|p| if p.kind.section == "database" { database } else { chosen(&p.kind) });
    if stages.is_empty() && mistakes.is_empty() {
        let what = if only.is_empty() { "the file asks for nothing".to_owned() } else { format!("the file has no section for {}", only.join(", ")) };
        let known: Vec<&str> = sections().into_iter().filter(|s| *s != "database").collect();
        mistakes.add_with_help(Place { line: 1, column: 1 }, what, format!("sections that do something: {}", known.join(", ")));
    }
    Plan { stages }
}
