//! The SQL of merged questions.

use crate::checks::question::{Ask, Fold, Keyed, Tally, Term, all};
use crate::names::{ident, literal};

/// Aggregates over one table, grouped or not.
#[derive(Debug, Clone)]
pub struct Scan {
    pub from: String,
    pub terms: Vec<Term>,
    pub groups: Vec<String>,
}

impl Scan {
    /// One row with a text for each of these terms.
    pub fn sql(&self, from: usize, to: usize) -> String {
        let terms = &self.terms[from..to];
        if self.groups.is_empty() {
            let list: Vec<String> = terms.iter().map(|term| finished(term, &term.plain())).collect();
            return format!("select {} {}", list.join(", "), self.from);
        }
        let mut inner: Vec<String> = self.groups.iter().map(|c| format!("t.{}", ident(c))).collect();
        let by: Vec<String> = (1..=inner.len()).map(|n| n.to_string()).collect();
        inner.push("count(*) as \"mlops.n\"".into());
        let mut outer = Vec::new();
        let mut made: Vec<String> = Vec::new();
        for term in terms {
            let of_group = term.filter.is_none() && term.call == "count(*)";
            let folded = match (&term.when, &term.of) {
                (None, _) if of_group => "coalesce(sum(t.\"mlops.n\"), 0)".to_owned(),
                (Some(when), Some(of)) if of_group && self.groups.contains(of) => {
                    format!("coalesce(sum(t.\"mlops.n\") filter (where {when}), 0)")
                }
                _ => {
                    let plain = term.plain();
                    // Two terms may finish one aggregate in two ways.
                    let i = made.iter().position(|known| *known == plain).unwrap_or_else(|| {
                        inner.push(format!("{plain} as \"mlops.{}\"", made.len()));
                        made.push(plain);
                        made.len() - 1
                    });
                    match term.fold {
                        Fold::Sum if term.call.starts_with("count(") => format!("coalesce(sum(t.\"mlops.{i}\"), 0)"),
                        Fold::Sum | Fold::Whole => format!("sum(t.\"mlops.{i}\")"),
                        Fold::Min => format!("min(t.\"mlops.{i}\")"),
                        Fold::Max => format!("max(t.\"mlops.{i}\")"),
                    }
                }
            };
            outer.push(finished(term, &folded));
        }
        format!("select {} from (select {} {} group by {}) t", outer.join(", "), inner.join(", "), self.from, by.join(", "))
    }
}

fn finished(term: &Term, value: &str) -> String {
    match &term.finish {
        Some([before, after]) => format!("({before}{value}{after})::text"),
        None => format!("({value})::text"),
    }
}

impl Term {
    /// The aggregate over rows.
    fn plain(&self) -> String {
        match all(&[self.filter.as_deref(), self.when.as_deref()]) {
            Some(condition) => format!("{} filter (where {condition})", self.call),
            None => self.call.clone(),
        }
    }
}

/// The columns that a stream of keys has to bring, each once, and where each question finds its own.
#[derive(Debug, Default)]
pub struct Stream {
    pub list: Vec<String>,
    pub places: Vec<KeyPlaces>,
}

#[derive(Debug, Clone, Default)]
pub struct KeyPlaces {
    pub key: Vec<usize>,
    /// The question's own `where`.
    pub filter: Option<usize>,
    pub group: Option<usize>,
}

impl Stream {
    pub fn new(questions: &[Keyed]) -> Self {
        let mut stream = Self::default();
        for question in questions {
            let key = question.key.iter().map(|part| stream.put(part.clone())).collect();
            let filter = question.filter.as_ref().map(|filter| stream.put(format!("({filter})")));
            let group = match &question.ask {
                // The number of the group; NULL for rows of none.
                Ask::Shared { group, names } => {
                    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
                    Some(stream.put(format!("array_position(array[{}]::text[], ({group})::text)", names.join(", "))))
                }
                _ => None,
            };
            stream.places.push(KeyPlaces { key, filter, group });
        }
        stream
    }

    fn put(&mut self, expression: String) -> usize {
        self.list.iter().position(|known| *known == expression).unwrap_or_else(|| {
            self.list.push(expression);
            self.list.len() - 1
        })
    }

    pub fn sql(&self, from: &str) -> String {
        format!("copy (select {} {from}) to stdout (format binary)", self.list.join(", "))
    }
}

/// One row for each combination of values, the number of its rows last; one row more than wanted tells that there
/// are too many. Cast after the grouping: a text for each group, not for each row.
pub fn tally(tallies: &[Tally], from: &str, limit: usize) -> String {
    let by = tallies.iter().flat_map(|t| &t.by);
    let inner: Vec<String> = by.enumerate().map(|(i, by)| format!("{by} as \"mlops.{i}\"")).collect();
    let (mut outer, mut group) = (Vec::new(), Vec::new());
    for i in 0..inner.len() {
        outer.push(format!("q.\"mlops.{i}\"::text"));
        group.push((i + 1).to_string());
    }
    format!(
        "select {}, q.n from (select {}, count(*) as n {from} group by {}) q order by q.n desc limit {}",
        outer.join(", "),
        inner.join(", "),
        group.join(", "),
        limit + 1
    )
}
