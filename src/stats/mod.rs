//! Distances between two distributions, from counts alone: what a drift check, a leakage check and a monitor share.
//!
//! Held to `SciPy` by `fixtures/golden/drift.json`.

pub mod evidently;
mod significance;
mod table;
mod values;

pub use self::significance::{Sample, benjamini_hochberg, deviations, mcnemar, two_sided, welch_greater};
pub use self::table::{chi2, corrected_cramers_v, jensen_shannon, psi};
pub use self::values::{Pair, deciles, kolmogorov_smirnov, mean_and_deviation, pairs};

/// The smallest value that so many of 100 do not exceed: one that occurred, and no mean of two. `sorted` ascends.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
pub fn nearest_rank(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = (percent / 100.0 * float(sorted.len() as u64)).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// Counts as numbers to calculate with.
#[expect(clippy::cast_precision_loss, reason = "rows are far below 2^53")]
pub(crate) fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::values::wasserstein;
    use super::*;

    fn numbers(values: &Json) -> (Vec<(f64, u64)>, u64) {
        let all = values.as_array().expect("list");
        let mut sorted: Vec<f64> = all.iter().filter_map(Json::as_f64).collect();
        sorted.sort_by(f64::total_cmp);
        let counts = sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect();
        (counts, all.iter().filter(|v| v.is_null()).count() as u64)
    }

    fn counts(case: &Json, side: &str) -> Vec<u64> {
        case["expect"]["counts"][side].as_array().expect("counts").iter().map(|n| n.as_u64().expect("count")).collect()
    }

    /// To 1e-9, absolutely near zero and relatively far from it.
    fn same(name: &str, what: &str, ours: Option<f64>, theirs: &Json) -> bool {
        let wanted = theirs.as_f64();
        let fits = match (ours, wanted) {
            (None, None) => true,
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
            _ => false,
        };
        assert!(fits, "{name}: {what} is {ours:?}, and SciPy says {wanted:?}");
        wanted.is_some()
    }

    /// 200 pairs of columns: ties, constants, one row, all NULL, huge and tiny values.
    #[test]
    fn every_distance_agrees_with_scipy_and_with_evidently() {
        let golden: Json = serde_json::from_str(include_str!("../../fixtures/golden/drift.json")).expect("json");
        let cases = golden["cases"].as_array().expect("cases");
        let mut compared = 0;
        for case in cases {
            let name = case["name"].as_str().expect("name");
            let expect = &case["expect"];
            let (reference, current) = (counts(case, "reference"), counts(case, "current"));
            let mut check = |what: &str, ours: Option<f64>, theirs: &Json| compared += usize::from(same(name, what, ours, theirs));
            check("psi", psi(&reference, &current), &expect["psi"]);
            check("js", jensen_shannon(&reference, &current), &expect["js"]);
            let chi2 = chi2(&[reference.clone(), current.clone()]).filter(|_| reference.iter().sum::<u64>() > 0 && current.iter().sum::<u64>() > 0);
            check("chi2", chi2.map(|c| c.statistic), &expect["chi2"]["statistic"]);
            check("chi2 p", chi2.map(|c| c.p), &expect["chi2"]["p"]);
            check("df", chi2.map(|c| float(c.df)), &expect["chi2"]["df"]);
            check("cramers_v", chi2.map(|c| c.cramers_v), &expect["chi2"]["cramers_v"]);
            if case["kind"] == "numeric" {
                let ((reference_values, reference_nulls), (current_values, _)) = (numbers(&case["reference"]), numbers(&case["current"]));
                let edges = deciles(&reference_values);
                let expected: Vec<f64> = expect["edges"].as_array().expect("edges").iter().map(|e| e.as_f64().expect("edge")).collect();
                assert_eq!(edges, expected, "{name}: edges");
                let mut bins = vec![0; edges.len() + 1];
                reference_values.iter().for_each(|(value, n)| bins[edges.partition_point(|edge| edge <= value)] += n);
                assert_eq!([&bins[..], &[reference_nulls]].concat(), reference, "{name}: counts");
                let pairs = pairs(&reference_values, &current_values);
                check("ks", kolmogorov_smirnov(&pairs), &expect["ks"]);
                check("wasserstein", wasserstein(&pairs), &expect["wasserstein"]);
                let normed = evidently::wasserstein_normed(&pairs);
                check("wasserstein_normed", normed, &expect["wasserstein_normed"]);
                let shares = evidently::shares(&pairs);
                check("evidently psi", shares.as_deref().map(evidently::psi), &expect["evidently"]["psi"]);
                check("evidently js", shares.as_deref().map(evidently::jensen_shannon), &expect["evidently"]["js"]);
            } else {
                let categories = reference.len() - 1;
                let (n, m) = (float(reference[..categories].iter().sum()), float(current[..categories].iter().sum()));
                let shares: Vec<(f64, f64)> = reference[..categories].iter().zip(&current).map(|(a, b)| (float(*a) / n, float(*b) / m)).collect();
                let shares = (n > 0.0 && m > 0.0).then_some(shares);
                check("evidently psi", shares.as_deref().map(evidently::psi), &expect["evidently"]["psi"]);
                check("evidently js", shares.as_deref().map(evidently::jensen_shannon), &expect["evidently"]["js"]);
            }
        }
        assert!(cases.len() >= 200 && compared > 1_800, "{} cases, {compared} numbers", cases.len());
    }
}
