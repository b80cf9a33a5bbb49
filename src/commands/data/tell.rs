//! Outcomes of the verbs that are no run, in words or as JSON.

use super::{Data, say};
use crate::outcome::{Outcome, Status, exit};

pub(super) fn tell(data: &Data<'_>, outcomes: &[Outcome]) -> u8 {
    if data.shell.json() {
        say(&format!("{:#}\n", serde_json::json!({"outcomes": outcomes})));
    } else {
        outcomes.iter().for_each(line);
    }
    let any = |status: Status| outcomes.iter().any(|o| o.status == status);
    match (any(Status::Failed), any(Status::Broken)) {
        (true, _) => exit::FAILED,
        (_, true) => exit::BROKEN,
        _ => exit::PASSED,
    }
}

fn line(o: &Outcome) {
    say(&format!("{} {} {}: {}\n", o.status.word(), o.subject, o.name, o.message));
    o.remedy.iter().for_each(|remedy| say(&format!("    → {remedy}\n")));
    o.evidence.iter().for_each(|evidence| say(&format!("    {evidence}\n")));
}
