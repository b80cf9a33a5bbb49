//! Outcomes of the verbs that are no run, in words or as JSON; the exit code follows.

use super::{Shell, say};
use crate::outcome::{Outcome, Status, exit};
use crate::runner::harmless;

/// `nothing`: what is said where there is none.
pub(super) fn tell(shell: &Shell, outcomes: &[Outcome], nothing: &str) -> u8 {
    if shell.json() {
        say(&format!("{:#}\n", serde_json::json!({"outcomes": outcomes})));
    } else if outcomes.is_empty() {
        say(&format!("{nothing}\n"));
    } else {
        outcomes.iter().for_each(line);
    }
    code(outcomes)
}

pub(super) fn line(o: &Outcome) {
    let took = if o.elapsed.is_zero() { String::new() } else { format!(" ({:.0?})", o.elapsed) };
    say(&harmless(&format!("{} {} {}: {}{took}\n", o.status.word(), o.subject, o.name, o.message)));
    o.remedy.iter().for_each(|remedy| say(&harmless(&format!("    → {remedy}\n"))));
    o.evidence.iter().for_each(|evidence| say(&harmless(&format!("    {evidence}\n"))));
}

pub(super) fn code(outcomes: &[Outcome]) -> u8 {
    let any = |status: Status| outcomes.iter().any(|o| o.status == status);
    // What failed would fail again; what could not be evaluated might not.
    match (any(Status::Failed), any(Status::Broken)) {
        (true, _) => exit::FAILED,
        (_, true) => exit::BROKEN,
        _ => exit::PASSED,
    }
}
