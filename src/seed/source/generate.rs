//! Rows made up for load tests: the same settings give the same rows.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};
use rand::distr::weighted::WeightedIndex;
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp, LogNormal, Normal, Poisson, Uniform, Zipf};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Source};
use crate::ports::postgres::kind::Odd;
use crate::ports::postgres::rows::Rows;
use crate::scalar::Scalar;
use crate::units::Amount;

/// How one column is made up: one of these, and what holds for any.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Whole numbers from this one on.
    pub sequence: Option<i64>,
    /// Whole numbers between two, both included, each as likely.
    pub integer: Option<[i64; 2]>,
    /// Numbers between two, each as likely.
    pub uniform: Option<[f64; 2]>,
    /// Numbers of a normal distribution: mean and standard deviation.
    pub normal: Option<[f64; 2]>,
    /// Numbers whose logarithm is normal: mean and standard deviation of the logarithm.
    pub lognormal: Option<[f64; 2]>,
    /// Waiting times with this mean.
    pub exponential: Option<f64>,
    /// Counts with this mean.
    pub poisson: Option<f64>,
    /// Ranks from 1 to the first number, the lower ones more often: by the power of the second.
    pub zipf: Option<[f64; 2]>,
    /// One of these values.
    pub choice: Option<Vec<Scalar>>,
    /// How often each value of `choice` comes, in any unit.
    pub weights: Option<Vec<f64>>,
    /// True for this share of the rows, such as `30%`.
    #[serde(serialize_with = "shown")]
    pub boolean: Option<Amount>,
    /// Points in time between two, such as `2026-01-01T00:00:00Z`.
    pub timestamp: Option<[String; 2]>,
    /// Days between two, both included.
    pub date: Option<[String; 2]>,
    /// Lower-case letters, so many at least and at most.
    pub text: Option<[usize; 2]>,
    /// Random UUIDs.
    pub uuid: Option<bool>,
    /// The same value in every row.
    pub value: Option<Scalar>,
    /// Values that another table has in a column: `table.column`.
    pub references: Option<String>,
    /// NULL for this share of the rows.
    #[serde(serialize_with = "shown")]
    pub nulls: Option<Amount>,
    /// No number is below this one.
    pub min: Option<f64>,
    /// No number is above this one.
    pub max: Option<f64>,
    /// Decimals that are kept.
    pub round: Option<u8>,
}

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
fn shown<S: serde::Serializer>(amount: &Option<Amount>, serializer: S) -> Result<S::Ok, S::Error> {
    amount.map(|a| a.to_string()).serialize(serializer)
}

/// What is wrong with a column's settings.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GenerateError(String);

/// Values of other tables, by `table.column`.
pub(in crate::seed) type Pools = BTreeMap<String, Vec<String>>;

/// All columns of a table that is made up.
#[derive(Debug, Clone)]
pub(in crate::seed) struct Recipe {
    pub(in crate::seed) rows: u64,
    pub(in crate::seed) random_seed: u64,
    pub(in crate::seed) columns: BTreeMap<String, Column>,
}

enum Maker {
    Sequence(i64),
    Integer([i64; 2]),
    Float(Box<dyn Fn(&mut ChaCha8Rng) -> f64 + Send>),
    /// Whole, though its distribution gives floats.
    Count(Box<dyn Fn(&mut ChaCha8Rng) -> f64 + Send>),
    Choice(Vec<String>, Option<WeightedIndex<f64>>),
    Boolean(f64),
    /// Microseconds.
    Instant([i64; 2]),
    Day([i64; 2]),
    Text([usize; 2]),
    Uuid,
    References,
}

fn wrong(why: impl ToString) -> GenerateError {
    GenerateError(why.to_string())
}

fn share(amount: Option<Amount>, key: &str) -> Result<f64, GenerateError> {
    match amount {
        None => Ok(0.0),
        Some(Amount::Share(share)) => Ok(share),
        Some(Amount::Count(_)) => Err(wrong(format!("`{key}` is a share such as `5%`"))),
    }
}

fn ordered<T: PartialOrd + Copy>(range: [T; 2], key: &str) -> Result<[T; 2], GenerateError> {
    if range[0] <= range[1] { Ok(range) } else { Err(wrong(format!("`{key}`: the first is above the second"))) }
}

impl Column {
    /// Whether the settings make sense.
    pub fn check(&self) -> Result<(), GenerateError> {
        share(self.nulls, "nulls")?;
        self.maker().map(drop)
    }

    fn maker(&self) -> Result<Maker, GenerateError> {
        let mut makers: Vec<Maker> = Vec::new();
        makers.extend(self.sequence.map(Maker::Sequence));
        makers.extend(self.integer.map(|range| ordered(range, "integer")).transpose()?.map(Maker::Integer));
        if let Some([low, high]) = self.uniform.map(|range| ordered(range, "uniform")).transpose()? {
            let even = Uniform::new_inclusive(low, high).map_err(|e| wrong(format!("`uniform`: {e}")))?;
            makers.push(Maker::Float(Box::new(move |rng| even.sample(rng))));
        }
        if let Some([mean, deviation]) = self.normal {
            let normal = Normal::new(mean, deviation).map_err(|e| wrong(format!("`normal`: {e}")))?;
            makers.push(Maker::Float(Box::new(move |rng| normal.sample(rng))));
        }
        if let Some([mean, deviation]) = self.lognormal {
            let normal = LogNormal::new(mean, deviation).map_err(|e| wrong(format!("`lognormal`: {e}")))?;
            makers.push(Maker::Float(Box::new(move |rng| normal.sample(rng))));
        }
        if let Some(mean) = self.exponential {
            let waiting = Exp::new(1.0 / mean).map_err(|e| wrong(format!("`exponential`: {e}")))?;
            makers.push(Maker::Float(Box::new(move |rng| waiting.sample(rng))));
        }
        if let Some(mean) = self.poisson {
            let count = Poisson::new(mean).map_err(|e| wrong(format!("`poisson`: {e}")))?;
            makers.push(Maker::Count(Box::new(move |rng| count.sample(rng))));
        }
        if let Some([n, power]) = self.zipf {
            let rank = Zipf::new(n, power).map_err(|e| wrong(format!("`zipf`: {e}")))?;
            makers.push(Maker::Count(Box::new(move |rng| rank.sample(rng))));
        }
        if let Some(values) = &self.choice {
            let weights = self.weights.as_ref().map(|w| WeightedIndex::new(w).map_err(|e| wrong(format!("`weights`: {e}")))).transpose()?;
            if values.is_empty() || self.weights.as_ref().is_some_and(|w| w.len() != values.len()) {
                return Err(wrong("`choice` has values, and `weights` as many as it"));
            }
            makers.push(Maker::Choice(values.iter().map(Scalar::to_string).collect(), weights));
        } else if self.weights.is_some() {
            return Err(wrong("`weights` go with `choice`"));
        }
        if self.boolean.is_some() {
            makers.push(Maker::Boolean(share(self.boolean, "boolean")?));
        }
        if let Some([from, to]) = &self.timestamp {
            let at = |text: &String| {
                let parsed = DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_micros());
                parsed.map_err(|_| wrong(format!("`{text}` is no point in time such as `2026-01-01T00:00:00Z`")))
            };
            makers.push(Maker::Instant(ordered([at(from)?, at(to)?], "timestamp")?));
        }
        if let Some([from, to]) = &self.date {
            let day = |text: &String| {
                let parsed = text.parse::<NaiveDate>().map(|day| day.signed_duration_since(NaiveDate::default()).num_days());
                parsed.map_err(|_| wrong(format!("`{text}` is no day such as `2026-01-31`")))
            };
            makers.push(Maker::Day(ordered([day(from)?, day(to)?], "date")?));
        }
        makers.extend(self.text.map(|range| ordered(range, "text")).transpose()?.map(Maker::Text));
        makers.extend(self.uuid.filter(|wanted| *wanted).map(|_| Maker::Uuid));
        makers.extend(self.value.as_ref().map(|value| Maker::Choice(vec![value.to_string()], None)));
        makers.extend(self.references.as_ref().map(|_| Maker::References));
        let drawn = makers.iter().all(|maker| matches!(maker, Maker::Float(_) | Maker::Count(_)));
        if !drawn && (self.min.is_some() || self.max.is_some() || self.round.is_some()) {
            return Err(wrong("`min`, `max` and `round` go with numbers that are drawn: `normal`, `uniform`, `poisson` …"));
        }
        if self.min.zip(self.max).is_some_and(|(min, max)| min.partial_cmp(&max).is_none_or(Ordering::is_gt)) {
            return Err(wrong("`min` is above `max`"));
        }
        if self.round.is_some_and(|digits| digits > 15) {
            return Err(wrong("`round` keeps at most 15 decimals"));
        }
        match <[Maker; 1]>::try_from(makers) {
            Ok([maker]) => Ok(maker),
            Err(makers) if makers.is_empty() => Err(wrong("it says nothing about its values: `sequence`, `integer`, `normal`, `choice` …")),
            Err(_) => Err(wrong("its values are made up in more than one way")),
        }
    }
}

pub(super) struct Generate {
    names: Vec<String>,
    makers: Vec<Made>,
    left: u64,
    done: u64,
}

struct Made {
    maker: Maker,
    rng: ChaCha8Rng,
    null: f64,
    low: f64,
    high: f64,
    /// Ten to the power of the decimals.
    scale: Option<f64>,
    pool: Vec<String>,
}

impl Generate {
    /// The settings have been found right before.
    pub(super) fn new(recipe: &Recipe, pools: &Pools) -> Self {
        let made = |(i, column): (usize, &Column)| {
            let mut rng = ChaCha8Rng::seed_from_u64(recipe.random_seed);
            // A column of its own stream: another one more does not change it.
            rng.set_stream(i as u64);
            Some(Made {
                maker: column.maker().ok()?,
                rng,
                null: share(column.nulls, "nulls").unwrap_or(0.0),
                low: column.min.unwrap_or(f64::NEG_INFINITY),
                high: column.max.unwrap_or(f64::INFINITY),
                scale: column.round.map(|digits| 10f64.powi(digits.into())),
                pool: column.references.as_ref().and_then(|from| pools.get(from).cloned()).unwrap_or_default(),
            })
        };
        let makers = recipe.columns.values().enumerate().filter_map(made).collect();
        Self { names: recipe.columns.keys().cloned().collect(), makers, left: recipe.rows, done: 0 }
    }
}

impl Source for Generate {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn place(&self) -> u64 {
        self.done
    }

    fn next(&mut self, rows: &mut Rows) -> Result<bool, Fault> {
        if self.left == 0 {
            return Ok(false);
        }
        (self.left, self.done) = (self.left - 1, self.done + 1);
        rows.begin();
        for made in &mut self.makers {
            if made.put(self.done, rows).is_err() {
                rows.undo();
                return Err(Fault::Odd);
            }
        }
        rows.end();
        Ok(true)
    }
}

impl Made {
    fn put(&mut self, nth: u64, rows: &mut Rows) -> Result<(), Odd> {
        let rng = &mut self.rng;
        // Drawn for every row, so that a share of NULLs does not change the other values.
        let null = rng.random::<f64>() < self.null;
        if null && self.null > 0.0 {
            rows.null();
            return Ok(());
        }
        match &self.maker {
            Maker::Sequence(first) => rows.int(i64::try_from(nth - 1).ok().and_then(|n| first.checked_add(n)).ok_or(Odd)?),
            Maker::Integer([low, high]) => rows.int(rng.random_range(*low..=*high)),
            Maker::Float(draw) => {
                let value = draw(rng).clamp(self.low, self.high);
                let value = self.scale.map_or(value, |scale| (value * scale).round() / scale);
                if value.is_finite() { rows.float(value) } else { Err(Odd) }
            }
            #[expect(clippy::cast_possible_truncation, reason = "counts and ranks are whole numbers")]
            Maker::Count(draw) => rows.int(draw(rng).clamp(self.low, self.high) as i64),
            Maker::Choice(values, weights) => {
                let at = match weights {
                    Some(weights) => weights.sample(rng),
                    None => rng.random_range(0..values.len()),
                };
                rows.cell(values[at].as_bytes())
            }
            Maker::Boolean(share) => rows.boolean(rng.random::<f64>() < *share),
            Maker::Instant([from, to]) => rows.instant(rng.random_range(*from..=*to), true),
            Maker::Day([from, to]) => rows.date(rng.random_range(*from..=*to)),
            Maker::Text([low, high]) => {
                let length = rng.random_range(*low..=*high);
                let text: Vec<u8> = (0..length).map(|_| rng.random_range(b'a'..=b'z')).collect();
                rows.cell(&text)
            }
            Maker::Uuid => rows.cell(uuid(rng).as_bytes()),
            Maker::References if self.pool.is_empty() => Err(Odd),
            Maker::References => rows.cell(self.pool[rng.random_range(0..self.pool.len())].as_bytes()),
        }
    }
}

/// Version 4, variant 1: <https://www.rfc-editor.org/rfc/rfc9562>.
fn uuid(rng: &mut impl Rng) -> String {
    let random = rng.random::<u128>();
    let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: &[(&str, Column)], n: u64) -> Vec<String> {
        let columns: BTreeMap<String, Column> = columns.iter().map(|(name, column)| ((*name).to_owned(), column.clone())).collect();
        let width = columns.len();
        let mut source = Generate::new(&Recipe { rows: n, random_seed: 7, columns }, &Pools::new());
        let mut rows = Rows::new(vec![None; width], false);
        while source.next(&mut rows).expect("row") {}
        String::from_utf8(rows.take().to_vec()).expect("utf-8").lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_same_settings_give_the_same_rows_and_a_further_column_changes_none() {
        let a = ("a", Column { normal: Some([40.0, 10.0]), min: Some(18.0), round: Some(1), nulls: Some(Amount::Share(0.5)), ..Column::default() });
        let b = ("b", Column { sequence: Some(5), ..Column::default() });
        let alone = rows(std::slice::from_ref(&a), 200);
        assert_eq!(alone, rows(std::slice::from_ref(&a), 200));
        let both = rows(&[a, b], 200);
        assert_eq!(alone, both.iter().map(|row| row.split('\t').next().expect("a").to_owned()).collect::<Vec<_>>());
        assert!(both[0].ends_with("\t5") && both[199].ends_with("\t204"));
        let numbers: Vec<f64> = alone.iter().filter_map(|row| row.parse().ok()).collect();
        assert!((60..140).contains(&numbers.len()) && numbers.iter().all(|n| *n >= 18.0));
    }

    #[test]
    fn settings_that_make_no_sense_are_told() {
        let said = |column: Column| column.check().expect_err("wrong").to_string();
        assert!(said(Column::default()).contains("says nothing"));
        assert!(said(Column { sequence: Some(1), uuid: Some(true), ..Column::default() }).contains("more than one way"));
        assert!(said(Column { integer: Some([2, 1]), ..Column::default() }).contains("the first is above"));
        assert!(said(Column { choice: Some(vec![Scalar::Int(1)]), weights: Some(vec![1.0, 2.0]), ..Column::default() }).contains("as many"));
        assert!(said(Column { normal: Some([0.0, f64::NAN]), ..Column::default() }).contains("normal"));
        assert!(said(Column { uniform: Some([-1.7e308, 1.7e308]), ..Column::default() }).contains("uniform"));
        assert!(said(Column { normal: Some([0.0, 1.0]), min: Some(5.0), max: Some(1.0), ..Column::default() }).contains("above `max`"));
        assert!(said(Column { integer: Some([0, 9]), min: Some(5.0), ..Column::default() }).contains("go with numbers that are drawn"));
        assert!(said(Column { timestamp: Some(["x".into(), "y".into()]), ..Column::default() }).contains("no point in time"));
    }
}
