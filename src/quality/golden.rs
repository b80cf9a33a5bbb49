//! Every metric and test beside the values of scikit-learn, Fairlearn, `SciPy` and statsmodels.

use serde_json::{Value as Json, json};

use super::compare::{Plan, bootstrap, delong, join};
use super::metrics::Chosen;
use super::table::{Binary, Classes, Data, Key, Numbers, Queries, Table, most_probable};
use super::view::View;
use crate::stats::{benjamini_hochberg, mcnemar};

const SHARED: &str = include_str!("../../fixtures/golden/metrics.json");
const GOLDEN: &str = include_str!("../../fixtures/golden/quality.json");

fn cases(text: &str, kind: &str) -> Vec<Json> {
    let golden: Json = serde_json::from_str(text).expect("json");
    golden["cases"].as_array().expect("cases").iter().filter(|case| case["kind"] == kind).cloned().collect()
}

fn numbers(case: &Json, key: &str) -> Vec<f64> {
    case[key].as_array().expect(key).iter().map(|v| v.as_f64().expect("number")).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "class numbers")]
fn codes(case: &Json, key: &str) -> Vec<u32> {
    numbers(case, key).into_iter().map(|v| v as u32).collect()
}

fn chosen(metric: Json) -> Chosen {
    serde_json::from_value(metric.clone()).unwrap_or_else(|e| panic!("{metric}: {e}"))
}

/// How scikit-learn's names are ours.
fn ours(name: &str) -> Option<Json> {
    let averaged = |stem: &str, average: &str| match stem {
        "precision" | "recall" | "f1" => Some(json!({stem: {"average": average}})),
        "fbeta_2" => Some(json!({"fbeta": {"beta": 2.0, "average": average}})),
        "roc_auc_ovr" => Some(json!({"roc_auc": {"multiclass": "ovr", "average": average}})),
        "roc_auc_ovo" => Some(json!({"roc_auc": {"multiclass": "ovo", "average": average}})),
        _ => None,
    };
    let stem = name.strip_suffix("_zero_division_0").unwrap_or(name);
    Some(match stem {
        "fbeta_2" => json!({"fbeta": {"beta": 2.0}}),
        "fbeta_0.5" => json!({"fbeta": {"beta": 0.5}}),
        "ece_10" => json!({"ece": {"bins": 10}}),
        "ece_15" => json!("ece"),
        "mce_15" => json!("mce"),
        "top_2_accuracy" => json!({"top_k_accuracy": {"k": 2}}),
        "pinball_0.1" => json!({"pinball": {"alpha": 0.1}}),
        "pinball_0.5" => json!({"pinball": {"alpha": 0.5}}),
        "pinball_0.9" => json!({"pinball": {"alpha": 0.9}}),
        _ if stem.ends_with("_zero_division_1") || stem.starts_with("confusion") || stem.starts_with("dcg") || stem == "ndcg_ignore_ties" => {
            return None;
        }
        _ => match stem.rsplit_once('_').and_then(|(stem, average)| averaged(stem, average)) {
            Some(metric) => metric,
            None => json!(stem),
        },
    })
}

/// Compares every value that a case has; what they call an error or NaN is not defined here either.
fn compare(case: &Json, table: Result<Table, String>, k: Option<u64>) -> usize {
    let mut compared = 0;
    for (name, theirs) in case["expect"].as_object().expect("expect") {
        let Some(mut metric) = ours(name) else { continue };
        if let (Some(k), Some(name @ ("ndcg" | "precision_at_k"))) = (k, metric.as_str()) {
            metric = json!({name: {"k": k}});
        }
        let value = table.as_ref().map_or(f64::NAN, |table| chosen(metric).compute(&View::all(table)).value);
        let label = format!("{name} of {} {}", case["kind"], case["name"]);
        match theirs.as_f64() {
            Some(theirs) if table.is_ok() => {
                assert!((value - theirs).abs() <= 1e-9 * theirs.abs().max(1.0), "{label}: {value} instead of {theirs}");
            }
            // Without any weight there is nothing to judge, whatever one metric makes of it.
            Some(_) => {}
            None => assert!(!value.is_finite(), "{label}: {value} instead of {theirs}"),
        }
        compared += 1;
    }
    compared
}

fn weighted(case: &Json, data: Data) -> Result<Table, String> {
    let plain = Table { data, weights: None, labels: vec![], key: None, features: vec![], seconds: vec![], unusable: 0 };
    let weights = case["w"].as_array().map(|_| numbers(case, "w"));
    Table { weights, ..plain }.ready().map_err(|e| e.to_string())
}

fn all(kind: &str, table: impl Fn(&Json) -> Data) -> usize {
    let of = |case: &Json| compare(case, weighted(case, table(case)), case["k"].as_u64());
    cases(SHARED, kind).iter().chain(&cases(GOLDEN, kind)).map(of).sum()
}

fn flags(case: &Json, key: &str) -> Vec<bool> {
    numbers(case, key).iter().map(|v| *v == 1.0).collect()
}

#[test]
fn two_classes_agree_with_scikit_learn() {
    let table = |case: &Json| {
        let threshold = case["threshold"].as_f64().expect("threshold");
        Data::Binary(Binary { y: flags(case, "y"), p: numbers(case, "p"), threshold })
    };
    let compared = all("binary", table);
    assert!(compared > 3500, "only {compared} values were compared");
}

#[test]
fn several_classes_agree_with_scikit_learn() {
    let table = |case: &Json| {
        let names: Vec<String> = case["labels"].as_array().expect("labels").iter().map(ToString::to_string).collect();
        let rows =
            case["prob"].as_array().expect("prob").iter().map(|row| row.as_array().expect("row").iter().map(|p| p.as_f64().expect("p")).collect());
        let rows: Vec<Vec<f64>> = rows.collect();
        let decided = rows.iter().map(|p| most_probable(p)).collect();
        Data::Classes(Classes { names, positive: None, y: codes(case, "y"), decided, p: rows.concat() })
    };
    let compared = all("multiclass", table);
    assert!(compared > 1500, "only {compared} values were compared");
}

#[test]
fn numbers_agree_with_scikit_learn() {
    let compared = all("regression", |case| Data::Numbers(Numbers { y: numbers(case, "y"), p: numbers(case, "p") }));
    assert!(compared > 900, "only {compared} values were compared");
}

#[test]
fn rankings_agree_with_scikit_learn() {
    let table = |case: &Json| {
        let queries = case["queries"].as_array().cloned().unwrap_or_else(|| vec![case.clone()]);
        let (mut relevance, mut score, mut query) = (vec![], vec![], vec![]);
        for (i, one) in (0_u32..).zip(&queries) {
            let rows = numbers(one, "relevance");
            query.extend(rows.iter().map(|_| i));
            relevance.extend(rows);
            score.extend(numbers(one, "score"));
        }
        Data::Queries(Queries { relevance, score, query })
    };
    let compared = all("ranking", table);
    assert!(compared > 190, "only {compared} values were compared");
}

/// Two models of the same rows, in another order each.
fn pair(y: &[bool], a: &[f64], b: &[f64]) -> super::compare::Pair {
    let table = |p: &[f64]| {
        let key = Some(Key::Numbers((0..).take(y.len()).collect()));
        let data = Data::Binary(Binary { y: y.to_vec(), p: p.to_vec(), threshold: 0.5 });
        Table { data, weights: None, labels: vec![], key, features: vec![], seconds: vec![], unusable: 0 }.ready().expect("table")
    };
    join(&table(a), &table(b)).expect("pair")
}

#[test]
fn areas_are_compared_as_delong_does() {
    let all = [cases(SHARED, "delong"), cases(GOLDEN, "delong")].concat();
    assert!(all.len() >= 20);
    for case in &all {
        let of = delong(&pair(&flags(case, "y"), &numbers(case, "a"), &numbers(case, "b"))).expect("delong");
        let expect = |key: &str| case["expect"][key].as_f64().expect("number");
        for (ours, theirs) in [(of.one, expect("auc_a")), (of.other, expect("auc_b")), (of.variance, expect("var_diff")), (of.p, expect("p"))] {
            assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-3), "{}: {of:?} instead of {}", case["name"], case["expect"]);
        }
    }
}

#[test]
fn decisions_are_compared_as_mcnemar_does() {
    let all = [cases(SHARED, "mcnemar"), cases(GOLDEN, "mcnemar")].concat();
    assert!(all.len() >= 20);
    for case in &all {
        let expect = |key: &str| case["expect"][key].as_u64().expect("count");
        let (one, other) = (expect("n01"), expect("n10"));
        let p = match case["expect"]["p"].as_f64() {
            Some(p) => p,
            None if one + other < 25 => case["expect"]["p_exact"].as_f64().expect("p"),
            None => case["expect"]["p_chi2_corrected"].as_f64().expect("p"),
        };
        assert!((mcnemar(one, other) - p).abs() <= 1e-9 * p.max(1e-3), "{}: {} instead of {p}", case["name"], mcnemar(one, other));
    }
}

#[test]
fn many_tests_are_adjusted_as_benjamini_and_hochberg_do() {
    let all = cases(GOLDEN, "benjamini_hochberg");
    assert!(all.len() >= 20);
    for case in &all {
        let adjusted = benjamini_hochberg(&numbers(case, "p"));
        for (ours, theirs) in adjusted.iter().zip(numbers(&case["expect"], "adjusted")) {
            assert!((ours - theirs).abs() <= 1e-12, "{}: {ours} instead of {theirs}", case["name"]);
        }
    }
}

#[test]
fn resamples_lie_where_scipy_finds_them() {
    for case in &cases(GOLDEN, "bootstrap") {
        let pair = pair(&flags(case, "y"), &numbers(case, "b"), &numbers(case, "a"));
        for (name, expect) in case["expect"].as_object().expect("expect") {
            let plan = Plan { resamples: 20_000, seed: 7, confidence: 0.95 };
            let interval = bootstrap(&chosen(json!(name)), &pair, plan).expect("interval");
            let number = |key: &str| expect[key].as_f64().expect("number");
            let width = number("high") - number("low");
            for (ours, theirs) in [(interval.low, number("low")), (interval.high, number("high"))] {
                assert!((ours - theirs).abs() <= 0.05 * width, "{name} of {}: {interval:?} instead of {expect}", case["name"]);
            }
        }
    }
}

/// The interval of the area by the bootstrap lies about where `DeLong`'s does, and the seed decides it.
#[test]
fn the_bootstrap_of_an_area_agrees_with_delong() {
    let case = &cases(SHARED, "delong")[0];
    let pair = pair(&flags(case, "y"), &numbers(case, "a"), &numbers(case, "b"));
    let plan = Plan { resamples: 4000, seed: 1, confidence: 0.95 };
    let auc = chosen(json!("roc_auc"));
    let interval = bootstrap(&auc, &pair, plan).expect("interval");
    let expected = delong(&pair).expect("delong").interval(0.95);
    let width = expected.high - expected.low;
    assert!((interval.low - expected.low).abs() < 0.1 * width && (interval.high - expected.high).abs() < 0.1 * width, "{interval:?} {expected:?}");
    assert_eq!(Some(interval), bootstrap(&auc, &pair, plan));
    assert_ne!(Some(interval), bootstrap(&auc, &pair, Plan { seed: 2, ..plan }));
}
