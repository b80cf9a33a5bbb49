//! Conditions on versions: `metrics.delay.roc_auc >= 0.8`, `params.depth = 3`, `data = 1f3a…`, `database ~ "15"`.

use tokio_postgres::types::Type;

use super::session::Param;
use crate::mistakes::suggestion;

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    field: Field,
    operator: Operator,
    text: String,
    number: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Metric(String),
    Param(String),
    /// A digest, md5 or name of a dataset.
    Data,
    /// A column of the version.
    Column(&'static str),
    Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Contains,
}

const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessEqual),
    (">=", Operator::GreaterEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("=", Operator::Equal),
    ("~", Operator::Contains),
];

/// What is asked, and the column that answers.
const COLUMNS: [(&str, &str); 9] = [
    ("label", "v.label"),
    ("commit", "v.git_sha"),
    ("database", "v.database"),
    ("schema", "v.schema_revision"),
    ("framework", "v.framework"),
    ("artifact", "v.artifact_sha256"),
    ("actor", "v.actor"),
    ("run", "v.ci_run_url"),
    ("gates", GATES),
];

const GATES: &str = "case when v.gates_passed is null then 'not evaluated' when not v.gates_passed then 'failed' \
                     when jsonb_path_exists(v.gates, '$[*] ? (@.status == \"warned\")') then 'warned' else 'passed' end";
const VERDICTS: [&str; 4] = ["passed", "warned", "failed", "not evaluated"];

impl Operator {
    const fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Contains => "~",
        }
    }

    const fn orders(self) -> bool {
        matches!(self, Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual)
    }
}

impl Condition {
    pub fn parse(text: &str) -> Result<Self, String> {
        let at = text.find(['!', '<', '>', '=', '~']).ok_or_else(|| format!("`{text}` is no condition such as `metrics.accuracy >= 0.8`"))?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let (sign, operator) = OPERATORS.into_iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(|| format!("`{text}`: a lone `!`"))?;
        let value = rest[sign.len()..].trim();
        if value.starts_with(['=', '<', '>', '~', '!']) {
            return Err(format!("`{text}`: the operators are =, !=, <, <=, >, >= and ~"));
        }
        let quoted = ['\'', '"'].into_iter().find(|quote| value.starts_with(*quote));
        let value = match quoted {
            Some(quote) => value[1..].strip_suffix(quote).ok_or_else(|| format!("`{text}`: the quote is not closed"))?,
            None => value,
        };
        if value.is_empty() {
            return Err(format!("`{text}` compares with nothing"));
        }
        let field = Self::field(name)?;
        if field == Field::Column(GATES) && operator != Operator::Contains && !VERDICTS.contains(&value) {
            return Err(format!("gates are passed, warned, failed or `not evaluated`; {}", suggestion(value, VERDICTS, "words")));
        }
        // What stands in quotes is a text.
        let number = value.parse::<f64>().ok().filter(|n| n.is_finite() && quoted.is_none());
        let numeric = matches!(field, Field::Metric(_));
        if (numeric || operator.orders()) && number.is_none() {
            return Err(format!("`{value}` is no number, which `{name} {sign}` compares with"));
        }
        if operator.orders() && !matches!(field, Field::Metric(_) | Field::Param(_))
            || (operator == Operator::Contains && (numeric || field == Field::Data))
        {
            return Err(format!("`{name}` cannot be compared with `{sign}`"));
        }
        Ok(Self { field, operator, text: value.to_owned(), number })
    }

    fn field(name: &str) -> Result<Field, String> {
        if let Some(metric) = name.strip_prefix("metrics.").or_else(|| name.strip_prefix("metric.")) {
            return Ok(Field::Metric(metric.to_owned()));
        }
        if let Some(param) = name.strip_prefix("params.").or_else(|| name.strip_prefix("param.")) {
            return Ok(Field::Param(param.to_owned()));
        }
        match (name, COLUMNS.iter().find(|(known, _)| *known == name)) {
            ("data", _) => Ok(Field::Data),
            ("stage", _) => Ok(Field::Stage),
            (_, Some((_, column))) => Ok(Field::Column(column)),
            _ => {
                let known = COLUMNS.iter().map(|(known, _)| *known).chain(["data", "stage", "metrics.NAME", "params.NAME"]);
                Err(format!("versions have no `{name}`; {}", suggestion(name, known, "fields")))
            }
        }
    }

    /// SQL and its values, whose numbers begin after `n`.
    pub(super) fn sql(&self, n: usize) -> (String, Vec<Param<'_>>) {
        let (one, two, sign) = (format!("${}", n + 1), format!("${}", n + 2), self.operator.sql());
        let text: Param<'_> = (&self.text, Type::TEXT);
        let like = |side: &str, value: &str| {
            if self.operator == Operator::Contains { format!("strpos({side}, {value}) > 0") } else { format!("{side} {sign} {value}") }
        };
        match (&self.field, &self.number) {
            // A metric is called `model.metric`; its last part is enough where it says which.
            (Field::Metric(name), Some(number)) => (
                format!(
                    "exists (select from jsonb_each(v.metrics) x where (x.key = {one} or right(x.key, length({one}) + 1) = '.' || {one}) and jsonb_typeof(x.value) = 'number' and (x.value)::float8 {sign} {two})"
                ),
                vec![(name, Type::TEXT), (number, Type::FLOAT8)],
            ),
            // A parameter may be a number or a text; only as a number it can be more or less.
            (Field::Param(name), Some(number)) if self.operator.orders() => (
                format!("case when jsonb_typeof(v.params->{one}) = 'number' then (v.params->{one})::float8 {sign} {two} else false end"),
                vec![(name, Type::TEXT), (number, Type::FLOAT8)],
            ),
            (Field::Param(name), Some(number)) if self.operator != Operator::Contains => {
                let three = format!("${}", n + 3);
                let same = format!(
                    "case when jsonb_typeof(v.params->{one}) = 'number' then (v.params->{one})::float8 {sign} {two} else v.params->>{one} {sign} {three} end"
                );
                (same, vec![(name, Type::TEXT), (number, Type::FLOAT8), text])
            }
            (Field::Param(name) | Field::Metric(name), _) => (like(&format!("v.params->>{one}"), &two), vec![(name, Type::TEXT), text]),
            (Field::Data, _) => {
                let not = if self.operator == Operator::NotEqual { "not " } else { "" };
                // Prefixes of digests are what people have at hand.
                let same = format!("(d.name = {one} or starts_with(d.md5, {one}) or starts_with(d.content, {one}))");
                (format!("{not}exists (select from mlops.version_dataset d where d.version_id = v.id and {same})"), vec![text])
            }
            (Field::Stage, _) => {
                let not = if self.operator == Operator::NotEqual { "not " } else { "" };
                let same = if self.operator == Operator::Contains { format!("strpos(p.stage, {one}) > 0") } else { format!("p.stage = {one}") };
                let standing = format!("select from mlops.deployment p where p.version_id = v.id and p.status = 'active' and {same}");
                (format!("{not}exists ({standing})"), vec![text])
            }
            (Field::Column("v.git_sha"), _) if self.operator == Operator::Equal => (format!("starts_with(v.git_sha, {one})"), vec![text]),
            (Field::Column(column), _) => (like(column, &one), vec![text]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_typed_and_their_mistakes_named() {
        for good in ["metrics.delay.roc_auc >= 0.8", "metric.f1<1", "params.depth = 3", "data=abc", "label ~ 'rc'", "stage != production"] {
            assert!(Condition::parse(good).is_ok(), "{good}: {:?}", Condition::parse(good));
        }
        for (wrong, part) in [
            ("accuracy", "is no condition"),
            ("metrics.f1 > high", "is no number"),
            ("lable = x", "label"),
            ("label > 3", "cannot be compared"),
            ("label =", "compares with nothing"),
            ("label == one", "the operators are"),
            ("label =< one", "the operators are"),
            ("label = 'one", "not closed"),
            ("gates = green", "passed, warned"),
            ("data ~ x", "cannot be compared"),
        ] {
            let said = Condition::parse(wrong).expect_err(wrong);
            assert!(said.contains(part), "{wrong}: {said}");
        }
    }
}
