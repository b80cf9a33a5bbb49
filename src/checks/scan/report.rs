//! Answers become outcomes.

use super::execute::{Results, Session};
use super::plan::{Asked, Places};
use super::{Cost, Looked, statement};
use crate::checks::gates::{Planned, TableGates};
use crate::checks::known::Known;
use crate::checks::question::Question;
use crate::checks::{Answer, Judgement};
use crate::outcome::{Outcome, Status};
use crate::picture::Picture;
use crate::ports::postgres::{PgError, Postgres};
use crate::units::count;

const SAMPLES: usize = 5;
/// Characters of a row that is shown.
const WIDEST: usize = 500;

/// Answers become outcomes, with a few offending rows where there are some.
pub struct Report<'a> {
    session: Session,
    known: &'a Known,
    results: Results,
    places: Vec<Places>,
    outcomes: Vec<Outcome>,
    measures: Vec<(String, f64)>,
    pictures: Vec<Picture>,
    proven: usize,
    at: usize,
}

impl<'a> Report<'a> {
    pub fn new(session: Session, known: &'a Known, results: Results, places: Vec<Places>) -> Self {
        Self { session, known, results, places, outcomes: Vec::new(), measures: Vec::new(), pictures: Vec::new(), proven: 0, at: 0 }
    }

    /// Closes the snapshot.
    pub async fn finish(self, server: &Postgres) -> Result<Looked, PgError> {
        let cost = Cost { statements: self.session.statements, proven: self.proven };
        self.session.client.batch_execute("commit").await.map_err(|e| server.error("closing the snapshot", &e))?;
        Ok(Looked { outcomes: self.outcomes, cost, measures: self.measures, pictures: self.pictures })
    }

    pub async fn table(&mut self, table: &TableGates, asked: &[Asked<'_>]) -> Result<(), PgError> {
        let exists = self.known.catalog.tables.contains_key(&table.table);
        for (planned, question) in asked {
            let at = self.at;
            self.at += 1;
            let judged = match question {
                Err(why) => unanswerable(planned, why, exists, self.known),
                Ok(Question { answered: Some(verdict), .. }) => verdict.clone(),
                Ok(question) => self.answered(planned, question, at, table.allow_empty).await?,
            };
            self.proven += usize::from(question.as_ref().is_ok_and(|q| q.proof.is_some()));
            if let (Some((value, _)), true) = (&judged.measure, planned.check.has_history()) {
                self.measures.push((planned.path(), *value));
            }
            let samples = match judged.status {
                Status::Failed | Status::Warned if question.is_ok() => self.samples(planned).await?,
                _ => vec![],
            };
            let title = format!("{} {}", planned.target.subject(), planned.title());
            self.pictures.extend(judged.picture.clone().map(|(shape, about)| Picture { title, about, shape }));
            let elapsed = self.results.elapsed[at];
            self.outcomes.push(outcome(planned, judged, samples).took(elapsed));
        }
        Ok(())
    }

    async fn answered(&mut self, planned: &Planned, question: &Question, at: usize, allow_empty: bool) -> Result<Judgement, PgError> {
        let mut answer = match self.results.answer(&self.places[at], question) {
            Ok(answer) => answer,
            Err(why) => return Ok(Judgement::broken(format!("could not be evaluated: {why}"))),
        };
        if !question.detail.is_empty() && answer.count(0) > 0 {
            answer.scan.extend(self.detail(planned, question).await?);
        }
        answer.history = self.known.history.get(&planned.path()).cloned().unwrap_or_default();
        Ok(judge(planned, question, &answer, allow_empty))
    }

    /// What only matters once something is wrong.
    async fn detail(&mut self, planned: &Planned, question: &Question) -> Result<Vec<Option<String>>, PgError> {
        let from = planned.target.whole().selection(None);
        let scan = statement::Scan { from, terms: question.detail.clone(), groups: vec![] };
        Ok(self.session.row(&scan.sql(0, question.detail.len())).await?.unwrap_or_default())
    }

    /// A few offending rows, as the server writes them.
    async fn samples(&mut self, planned: &Planned) -> Result<Vec<String>, PgError> {
        let Some(query) = planned.check.sample(&planned.target, self.known) else { return Ok(vec![]) };
        let sql = format!(
            "select string_agg(left(row_to_json(\"mlops.row\")::text, {WIDEST}), E'\\n') from (select * from ({query}) s limit {SAMPLES}) \"mlops.row\""
        );
        Ok(match self.session.row(&sql).await? {
            Ok(row) => row.into_iter().flatten().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect(),
            Err(refusal) => vec![format!("rows could not be shown: {}", refusal.why)],
        })
    }
}

/// What cannot be asked. A missing table or column has failed under its own name, and the rest did not get that far.
fn unanswerable(planned: &Planned, why: &str, table_exists: bool, known: &Known) -> Judgement {
    let missing_column = planned.target.column.is_some() && planned.target.column_facts(&known.catalog).is_err();
    if !table_exists {
        Judgement::new(Status::Skipped, format!("table {} does not exist", planned.target.table))
    } else if missing_column {
        Judgement::new(Status::Skipped, format!("{} does not exist", planned.target.subject()))
    } else {
        Judgement::broken(format!("could not be evaluated: {why}"))
    }
}

fn judge(planned: &Planned, question: &Question, answer: &Answer, allow_empty: bool) -> Judgement {
    if answer.rows == 0 && !allow_empty && !planned.check.judges_empty() {
        let filtered = planned.target.filter.is_some() || planned.target.table_filter.is_some();
        let what = if filtered { "no row is left by `where`" } else { "the table is empty" };
        return Judgement::new(Status::Failed, format!("{what}, so nothing was checked (accept it with `allow_empty: true`)"));
    }
    if let Some(proof) = &question.proof {
        return Judgement::new(Status::Passed, format!("proven by {proof} for all {} rows", count(answer.rows)));
    }
    planned.check.judge(&planned.target, answer)
}

fn outcome(planned: &Planned, judged: Judgement, samples: Vec<String>) -> Outcome {
    let status = planned.apply(judged.status);
    let outcome = Outcome::new(planned.target.subject(), planned.title(), status, judged.message)
        .with_evidence(judged.evidence)
        .with_evidence(samples)
        .with_remedy(planned.remedy(status))
        .at(Some(planned.location.clone()));
    match judged.measure {
        Some((value, expected)) => outcome.measured(value, expected),
        None => outcome,
    }
}
