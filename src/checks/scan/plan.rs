//! Questions → few statements. Pure: what would be asked can be printed without asking.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::statement;
use crate::checks::gates::{Planned, TableGates};
use crate::checks::known::Known;
use crate::checks::question::{Ask, Fold, Keyed, Question, Single, Tally, Target, Term};
use crate::ports::postgres::evidence::Evidence;

/// Postgres allows 1,664 columns in a result.
const WIDTH: usize = 1_600;
/// Groups of one scan: more would not stay in the processor's cache.
const GROUPS: f64 = 5_000.0;
/// Values of one column that a scan is grouped by.
const VALUES: f64 = 200.0;
/// Keys that are compared outside the server: eight bytes each.
const KEYS: u64 = 50_000_000;

/// One thing to do on one connection.
#[derive(Debug)]
pub struct Job {
    pub work: Work,
    /// The rows that it reads, as far as the server can tell.
    pub weight: u64,
    /// Which checks it answers.
    pub checks: Vec<usize>,
}

#[derive(Debug)]
pub enum Work {
    /// Aggregates in one scan; their slots follow each other.
    Scan {
        scan: statement::Scan,
        first: usize,
    },
    Single {
        single: Single,
        slot: usize,
    },
    /// Several questions about keys in one stream.
    Keys {
        from: String,
        questions: Vec<Keyed>,
        slots: Vec<usize>,
    },
    /// One of them put to the server itself.
    Keyed {
        question: Keyed,
        slot: usize,
    },
    /// Several tallies in one grouping: each is a marginal of it.
    Tally {
        from: String,
        tallies: Vec<Tally>,
        slots: Vec<usize>,
    },
}

/// Where a check finds its answers.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub rows: Option<usize>,
    pub scan: Vec<usize>,
    pub singles: Vec<usize>,
    pub keyed: Option<usize>,
    pub tallies: Vec<usize>,
}

/// Everything that will be asked.
#[derive(Debug, Default)]
pub struct Plan {
    pub jobs: Vec<Job>,
    /// For each check, in order.
    pub places: Vec<Places>,
    pub values: usize,
    pub keyed: usize,
    pub counts: usize,
    /// How long making it up took.
    pub planning: Duration,
}

/// A question with what it is about; `Err` is why it cannot be asked.
pub type Asked<'a> = (&'a Planned, Result<Question, String>);

impl Plan {
    pub fn new(tables: &[(&TableGates, Vec<Asked<'_>>)], known: &Known) -> Self {
        let started = Instant::now();
        let mut plan = Self::default();
        for (table, asked) in tables {
            let mut of_table = OfTable::new(table, known, &mut plan);
            asked.iter().for_each(|(planned, question)| of_table.add(planned, question.as_ref().ok()));
            of_table.finish();
        }
        // The longest first, so that no connection is left alone with it at the end.
        plan.jobs.sort_by_key(|job| std::cmp::Reverse((job.work.cost(), job.weight)));
        plan.planning = started.elapsed();
        plan
    }
}

impl Work {
    /// How much a row costs, roughly: what `gates.md` measured in multiples of `count(*)`.
    fn cost(&self) -> u8 {
        match self {
            Self::Keys { .. } => 3,
            Self::Scan { .. } => 2,
            Self::Tally { .. } | Self::Single { .. } | Self::Keyed { .. } => 1,
        }
    }
}

/// A list that holds each thing once, and who wants it.
struct Once<T>(Vec<(T, Vec<usize>)>, BTreeMap<T, usize>);

impl<T: Clone + Ord> Once<T> {
    fn new() -> Self {
        Self(Vec::new(), BTreeMap::new())
    }

    fn put(&mut self, thing: T, check: usize) -> usize {
        let at = *self.1.entry(thing.clone()).or_insert_with(|| {
            self.0.push((thing, Vec::new()));
            self.0.len() - 1
        });
        if self.0[at].1.last() != Some(&check) {
            self.0[at].1.push(check);
        }
        at
    }
}

/// The product of the tallies' sizes, their common filter, and each with its slot and its check.
type Pack = (f64, Option<String>, Vec<(Tally, usize, usize)>);

struct OfTable<'a> {
    plan: &'a mut Plan,
    known: &'a Known,
    evidence: Evidence,
    /// All rows of the table that its gates look at.
    whole: Target,
    terms: Once<Term>,
    /// For each check: the terms that it wants.
    wanted: Vec<(usize, Option<usize>, Vec<usize>)>,
    keyed: Vec<(Keyed, usize, usize)>,
    tallies: Vec<(Tally, usize, usize)>,
}

impl<'a> OfTable<'a> {
    fn new(table: &TableGates, known: &'a Known, plan: &'a mut Plan) -> Self {
        let whole = Target::of_table(table.table.clone(), table.filter.clone());
        let evidence = known.evidence(&table.table).cloned().unwrap_or_default();
        Self { plan, known, evidence, whole, terms: Once::new(), wanted: Vec::new(), keyed: Vec::new(), tallies: Vec::new() }
    }

    fn add(&mut self, planned: &Planned, question: Option<&Question>) {
        let check = self.plan.places.len();
        let mut places = Places::default();
        if let Some(question) = question {
            let rows = (question.answered.is_none() && !planned.check.judges_empty()).then(|| self.terms.put(planned.target.rows(), check));
            let terms = question.scan.iter().map(|term| self.terms.put(term.clone(), check)).collect();
            self.wanted.push((check, rows, terms));
            for single in &question.singles {
                places.singles.push(self.single(single.clone(), check));
            }
            if let Some(keyed) = &question.keyed {
                places.keyed = Some(self.plan.keyed);
                self.keyed.push((keyed.clone(), self.plan.keyed, check));
                self.plan.keyed += 1;
            }
            for tally in &question.tallies {
                places.tallies.push(self.plan.counts);
                self.tallies.push((tally.clone(), self.plan.counts, check));
                self.plan.counts += 1;
            }
        }
        self.plan.places.push(places);
    }

    fn job(&mut self, work: Work, checks: Vec<usize>) {
        self.plan.jobs.push(Job { work, weight: self.evidence.rows.unwrap_or(0), checks });
    }

    fn single(&mut self, single: Single, check: usize) -> usize {
        let slot = self.plan.values;
        self.plan.values += 1;
        self.job(Work::Single { single, slot }, vec![check]);
        slot
    }

    fn finish(mut self) {
        self.scans();
        self.keys();
        self.count();
    }

    fn scans(&mut self) {
        let first = self.plan.values;
        self.plan.values += self.terms.0.len();
        for (check, rows, terms) in std::mem::take(&mut self.wanted) {
            self.plan.places[check].rows = rows.map(|at| first + at);
            self.plan.places[check].scan = terms.into_iter().map(|at| first + at).collect();
        }
        let from = self.whole.selection(None);
        let terms = std::mem::take(&mut self.terms.0);
        for (chunk, terms) in terms.chunks(WIDTH).enumerate() {
            let groups = groups(terms.iter().map(|(term, _)| term), &self.evidence);
            let mut checks: Vec<usize> = terms.iter().flat_map(|(_, checks)| checks.clone()).collect();
            checks.sort_unstable();
            checks.dedup();
            let scan = statement::Scan { from: from.clone(), terms: terms.iter().map(|(term, _)| term.clone()).collect(), groups };
            self.job(Work::Scan { scan, first: first + chunk * WIDTH }, checks);
        }
    }

    /// One stream for all questions about this table's keys; more keys than memory should hold are the server's work.
    fn keys(&mut self) {
        let all = std::mem::take(&mut self.keyed);
        let few = self.evidence.rows.is_none_or(|rows| rows <= KEYS);
        let parent = |keyed: &Keyed| match &keyed.ask {
            Ask::Orphans { table, .. } => self.known.evidence(table).and_then(|e| e.rows).unwrap_or(0),
            _ => 0,
        };
        let (stream, server): (Vec<_>, Vec<_>) = all.into_iter().partition(|(keyed, ..)| keyed.portable && few && parent(keyed) <= KEYS);
        let from = self.whole.selection(None);
        if !stream.is_empty() {
            let checks = stream.iter().map(|(.., check)| *check).collect();
            let slots = stream.iter().map(|(_, slot, _)| *slot).collect();
            let questions = stream.into_iter().map(|(keyed, ..)| keyed).collect();
            self.job(Work::Keys { from, questions, slots }, checks);
        }
        for (keyed, slot, check) in server {
            self.job(Work::Keyed { question: keyed, slot }, vec![check]);
        }
    }

    /// Small tallies share a grouping; one that may hold anything stands alone.
    fn count(&mut self) {
        let mut packs: Vec<Pack> = Vec::new();
        for entry in std::mem::take(&mut self.tallies) {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            let size = entry.0.size.map_or(f64::INFINITY, |size| size.max(1) as f64);
            let fits = |(product, filter, _): &&mut Pack| *filter == entry.0.filter && product * size <= GROUPS;
            match packs.iter_mut().find(fits) {
                Some((product, _, pack)) => {
                    *product *= size;
                    pack.push(entry);
                }
                None => packs.push((size, entry.0.filter.clone(), vec![entry])),
            }
        }
        for (_, filter, pack) in packs {
            let from = Target { filter, ..self.whole.clone() }.selection(None);
            let (checks, slots) = (pack.iter().map(|(.., check)| *check).collect(), pack.iter().map(|(_, slot, _)| *slot).collect());
            let tallies = pack.into_iter().map(|(tally, ..)| tally).collect();
            self.job(Work::Tally { from, tallies, slots }, checks);
        }
    }
}

/// The columns to group a scan by, so that lists and patterns are judged once for each value: those with the fewest
/// values first, as long as the groups stay few.
fn groups<'t>(terms: impl Iterator<Item = &'t Term> + Clone, evidence: &Evidence) -> Vec<String> {
    if terms.clone().any(|term| term.fold == Fold::Whole) {
        return vec![];
    }
    let costly = terms.filter(|term| term.costly && term.filter.is_none()).filter_map(|term| term.of.as_ref());
    let mut columns: Vec<(f64, &String)> = costly.filter_map(|column| Some((*evidence.distinct.get(column)?, column))).collect();
    columns.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    columns.dedup();
    let mut product = 1.0;
    let few = columns.into_iter().take_while(|(distinct, _)| {
        // One more for NULL.
        product *= distinct + 1.0;
        *distinct <= VALUES && product <= GROUPS
    });
    few.map(|(_, column)| column.clone()).collect()
}
