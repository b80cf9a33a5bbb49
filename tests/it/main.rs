//! The one integration binary: further files in `tests/` would each link polars again.
//!
//! Tests drive the program as its users do; pure parts are tested beside their code.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests look for tools in the PATH of the machine")]

/// Taking over the histories of other tools, continued by us.
mod adopt;
/// Every fixture that must fail, and how.
mod broken;
/// Every catalogue: names, documentation, one name everywhere.
mod catalogues;
/// Every data check in every way that it can end.
mod checks;
/// What merged statements count, beside naive ones.
mod checks_naive;
/// Arguments, exit codes, schema, plan, explain.
mod cli;
/// Versions of datasets: every type, DVC, lineage, kills.
mod data;
/// Generated files against what they are generated from, paths in the documentation.
mod docs;
/// Changes of a schema by hand, one by one.
mod drift;
mod endpoint;
/// A guest of GitHub Actions: events, comments, limits, outages, what a payload can be.
mod github;
/// A guest of GitLab CI: notes, tokens, reports.
mod gitlab;
/// Hostile names and values in everything that is rendered.
mod injection;
/// The floors of the architecture.
mod layers;
/// One migration for each rule of the linter.
mod lint_cases;
/// Migrations beside those of another branch.
mod merge;
/// `mlops migrate`, locks, refusals.
mod migrate;
/// New migrations before they are applied: lint, and up, down, up.
mod migrate_gate;
/// Several runs at once, and runs that are killed.
mod migrate_safe;
/// MLflow follows the registry.
mod mlflow;
mod quality;
/// Versions of models, and who may ship them.
mod registry;
/// Reports of several jobs as one.
mod report_merge;
/// The flights, twice.
mod run;
/// No secret in any output.
mod secrets;
/// What is seeded, and when.
mod seed;
/// What files may hold, and how it arrives.
mod seed_formats;
/// Templates of the project's own, completions and manual pages, doctor and init.
mod shell;
/// A server for a run, gone with it.
mod throwaway;
/// Slips of the pen in the data gates.
mod typos;

mod support;
