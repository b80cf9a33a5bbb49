//! mlops-action: the one CI step of a machine-learning team.
//!
//! ```text
//!  mlops.yml ────┐
//!  flags, env,   ├─► config ──► plan ──► stages ──► outcomes ──► sinks ──► exit code
//!  INPUT_*       ┘   typed      checked,  do the     one RunReport, JUnit, comment,
//!                    mirror,    printable work       always whole   summary, JSON
//!                    no I/O     no I/O
//! ```
//!
//! Imports go down only: shell (`cli`, `commands`), course (`pipeline`), faces (`stages`, `report`), domains (`migrate`,
//! `seed`, `checks`, `quality`, `dataset`, `registry`, `deploy`), ground (`config`, `ports`, `render`), words (the rest).
//! `tests/it/layers.rs` holds them to it.

// 5 shell
pub mod cli;
mod commands;
// 4 course
mod pipeline;
// 3 faces
mod report;
mod stages;
// 2 domains
mod checks;
mod dataset;
mod deploy;
mod endpoint;
mod migrate;
mod quality;
mod registry;
mod seed;
mod vitals;
// 1 ground
mod config;
mod onnx;
mod ports;
mod render;
// 0 words
mod bounds;
mod catalogue;
mod mistakes;
mod names;
mod node;
mod outcome;
mod picture;
mod profile;
mod runner;
mod scalar;
mod secret;
mod stats;
mod tls;
mod units;

use std::collections::BTreeMap;

/// The whole program: arguments and environment in, exit code out. May be called many times.
pub async fn run(args: Vec<String>, env: BTreeMap<String, String>) -> u8 {
    commands::dispatch(args, env).await
}
