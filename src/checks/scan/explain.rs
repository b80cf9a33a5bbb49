//! What would be asked, without asking.

use std::fmt::Write as _;

use super::plan::{Plan, Work};
use super::prepare::{Prepared, Setting, prepare};
use super::{execute, statement};
use crate::checks::gates::Gates;
use crate::checks::question::{Ask, Question};
use crate::ports::postgres::{PgError, Postgres};

/// `mlops check --explain`: every statement, and the checks that it answers. Nothing but the catalog is read.
pub async fn explain(server: &Postgres, gates: &Gates, setting: &Setting<'_>) -> Result<String, PgError> {
    let Prepared { known, tables, .. } = prepare(server, gates, setting).await?;
    let titles: Vec<String> = tables.iter().flat_map(|(_, asked)| asked).map(|(planned, _)| planned.path()).collect();
    let mut text = String::new();
    let mut asked = vec![false; titles.len()];
    for (i, job) in Plan::new(&tables, &known).jobs.iter().enumerate() {
        let _ = writeln!(text, "-- {}. {}", i + 1, job.checks.iter().map(|at| titles[*at].as_str()).collect::<Vec<_>>().join(", "));
        job.checks.iter().for_each(|at| asked[*at] = true);
        for sql in job.work.sql() {
            let _ = writeln!(text, "{sql};");
        }
        text.push('\n');
    }
    for ((planned, question), asked) in tables.iter().flat_map(|(_, asked)| asked).zip(asked) {
        let (why, path) = match question {
            Err(why) => (format!("cannot be asked ({why})"), planned.path()),
            Ok(Question { proof: Some(proof), .. }) => (format!("proven by {proof}"), planned.path()),
            Ok(_) if !asked => ("answered by the catalog".into(), planned.path()),
            Ok(_) => continue,
        };
        let _ = writeln!(text, "-- {why}: {path}");
    }
    Ok(text)
}

impl Work {
    /// What is sent, as far as it is known before any answer.
    fn sql(&self) -> Vec<String> {
        match self {
            Self::Scan { scan, .. } => vec![scan.sql(0, scan.terms.len())],
            Self::Single { single, .. } => vec![single.quick.clone().unwrap_or_else(|| single.exact.clone())],
            Self::Tally { from, tallies, .. } => vec![statement::tally(tallies, from, execute::MOST)],
            Self::Keys { from, questions, .. } => {
                let parents = questions.iter().filter_map(|q| match &q.ask {
                    Ask::Orphans { table, column } => Some(execute::parents(table, column)),
                    _ => None,
                });
                parents.chain([statement::Stream::new(questions).sql(from)]).collect()
            }
            Self::Keyed { question, .. } => vec![question.quick.clone().unwrap_or_else(|| question.exact.clone())],
        }
    }
}
