//! What people would rather look at.

use super::curve::Curve as Ranks;
use super::metrics::{BINS, bins};
use super::score::digits;
use super::table::Data;
use super::view::View;
use crate::picture::{Curve, Picture, Shape};
use crate::units::counted;

/// Points of a curve: more than a screen shows apart.
const POINTS: f64 = 100.0;
/// A matrix of more classes is not read any more.
const CLASSES: usize = 20;

/// The pictures of a model's decisions and probabilities.
pub fn of(model: &str, view: &View) -> Vec<Picture> {
    let mut all = Vec::new();
    if let Data::Binary(_) = &view.table.data {
        all.extend(ranks(model, view));
    }
    all.extend(calibration(model, view));
    all.extend(confusion(model, view));
    all
}

fn curve(name: &str, points: Vec<[f64; 2]>) -> Curve {
    Curve { name: name.into(), points, dashed: false }
}

fn diagonal(name: &str) -> Curve {
    Curve { name: name.into(), points: vec![[0.0, 0.0], [1.0, 1.0]], dashed: true }
}

/// The ROC curve and that of precision and recall; nothing with one class only.
fn ranks(model: &str, view: &View) -> Vec<Picture> {
    let all = *view.curve();
    if all.auc().is_nan() {
        return vec![];
    }
    let (mut so_far, mut roc, mut pr) = (Ranks::EMPTY, vec![[0.0, 0.0]], Vec::new());
    view.blocks(|_, positives, negatives| {
        so_far.step(positives, negatives);
        let (tpr, fpr) = (so_far.positives / all.positives, so_far.negatives / all.negatives);
        // A point where either has moved enough to be seen, and the last.
        let [x, y] = roc[roc.len() - 1];
        let last = tpr + fpr >= 2.0;
        if (fpr - x) + (tpr - y) >= 1.0 / POINTS || last {
            roc.push([fpr, tpr]);
            pr.push([tpr, so_far.positives / (so_far.positives + so_far.negatives)]);
        }
    });
    let (auc, ap) = (digits(all.auc()), digits(all.precision / all.positives));
    let shape = |x: &str, y: &str, curves| Shape::Curves { x: x.into(), y: y.into(), curves };
    vec![
        Picture {
            title: format!("{model}: ROC"),
            about: format!("True positive rate over false positive rate; the area under the curve is {auc}, by chance it is 0.5."),
            shape: shape("false positive rate", "true positive rate", vec![curve(&format!("area {auc}"), roc), diagonal("by chance")]),
        },
        Picture {
            title: format!("{model}: precision and recall"),
            about: format!("Precision over recall; the average precision is {ap}."),
            shape: shape("recall", "precision", vec![curve(&format!("average {ap}"), pr)]),
        },
    ]
}

fn calibration(model: &str, view: &View) -> Option<Picture> {
    let bins = bins(view, BINS)?;
    let worst = bins.iter().map(|bin| (bin.said - bin.was).abs()).fold(0.0, f64::max);
    let y = if matches!(view.table.data, Data::Binary(_)) { "share of positives" } else { "share of right decisions" };
    let points = bins.iter().map(|bin| [bin.said, bin.was]).collect();
    Some(Picture {
        title: format!("{model}: calibration"),
        about: format!(
            "How often it happened over the probability that was said, in {}; the largest distance is {}.",
            counted(bins.len() as u64, "bin"),
            digits(worst)
        ),
        shape: Shape::Curves { x: "predicted probability".into(), y: y.into(), curves: vec![curve("model", points), diagonal("perfect")] },
    })
}

fn confusion(model: &str, view: &View) -> Option<Picture> {
    let labels = match &view.table.data {
        Data::Binary(_) => vec!["negative".to_owned(), "positive".to_owned()],
        Data::Classes(c) if c.names.len() <= CLASSES => c.names.clone(),
        _ => return None,
    };
    let counts = view.confusion();
    let cells: Vec<Vec<f64>> = (0..labels.len()).map(|t| (0..labels.len()).map(|d| counts.get(t, d)).collect()).collect();
    Some(Picture {
        title: format!("{model}: confusion matrix"),
        about: format!("{} of {} decisions are right.", counts.right(), counts.total()),
        shape: Shape::Matrix { rows: "truth".into(), columns: "decision".into(), labels, cells },
    })
}
