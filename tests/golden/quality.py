#!/usr/bin/env python3
"""Makes fixtures/golden/quality.json: some 500 small sets of predictions, and what scikit-learn, Fairlearn and statsmodels say of them.

    python3 -m venv .venv && .venv/bin/pip install scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6 fairlearn==0.15.0 \
        statsmodels==0.15.0 pandas==3.1.1
    .venv/bin/python tests/golden/quality.py

The same versions give the same file. What is not theirs, or is a choice:

- Undefined is "nan", an exception {"error": its name}. Precision, recall and F are 0 where undefined, and averaged over the labels
  that occur, in truth or decision, with a weight.
- ECE and MCE: a value falls in bin `searchsorted(linspace(0, 1, bins + 1)[1:-1], p)`, bins without weight are left out; of several
  classes the confidence is that of the decision, the first of the largest.
- top_2_accuracy is scikit-learn's: of equal scores the later class comes first. max_error knows no weights.
- Of two classes in two columns scikit-learn has no multiclass roc_auc and no top 2: these are left out, and so is ovo with weights.
- Ranking: of equal scores precision_at_k and mrr are the expected value over any order; for ndcg and map they are one block. Only
  ndcg and precision_at_k know k.
- McNemar: n01 counts the rows where a is right and b is wrong, n10 those where a is wrong and b is right; exact below 25 of both.
- DeLong: the difference is a - b; the bootstrap's is b - a. A variance of 0 is z = 0 and p = 1.

No case hangs on rounding: what is expected stays when the rows are turned round and their weights tripled.
"""

import json
import math
import pathlib
import sys
import warnings
from importlib.metadata import version

import numpy as np
from fairlearn import metrics as fair
from scipy.stats import bootstrap, norm
from sklearn import metrics as m
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

FILE = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "quality.json"
LIBRARIES = ["scikit-learn", "scipy", "numpy", "fairlearn", "statsmodels", "pandas"]
SEED = 20260201


def plain(value):
    """As JSON has it."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inner) for inner in value]
    if isinstance(value, (float, np.floating)):
        return "nan" if math.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value


def told(computations):
    """What each of them gives, or the name of its error."""
    found = {}
    for name, compute in computations.items():
        try:
            found[name] = compute()
        except (ValueError, ZeroDivisionError) as e:
            found[name] = {"error": type(e).__name__}
    return found


def rows(g, i):
    """Mostly 2 to 40; every tenth has 100 to 200."""
    return int(g.integers(100, 201) if i % 10 == 9 else g.integers(2, 41))


def rounded(values, digits=6):
    return np.round(values, digits) + 0.0  # no negative zero


# Weights.


def some_zero(g, values, share):
    values = np.where(g.random(len(values)) < share, 0.0, values)
    if not values.any():
        values[g.integers(len(values))] = 1.0
    return values


WEIGHTS = [
    lambda g, n: rounded(g.uniform(0.05, 3, n), 3),
    lambda g, n: None,
    lambda g, n: some_zero(g, rounded(g.uniform(0.05, 3, n), 2), 0.3),
    lambda g, n: None,
    lambda g, n: g.integers(1, 6, n).astype(float),
    lambda g, n: None,
    lambda g, n: some_zero(g, rounded(g.uniform(0.05, 3, n), 2), 0.75),
    lambda g, n: None,
    lambda g, n: rounded(0.001 + 10.0 ** g.uniform(-3, 3, n), 3),
    lambda g, n: None,
]
# These add up exactly in any order, so that half of them is half of them: the weighted median asks.
EXACT_WEIGHTS = [
    lambda g, n: None,
    lambda g, n: g.integers(1, 200, n) / 64,
    lambda g, n: None,
    lambda g, n: some_zero(g, g.integers(1, 9, n) / 4, 0.4),
    lambda g, n: g.integers(1, 4, n).astype(float),
]


# Binary.


def scored(g, n, share=0.4, noise=1.2):
    y = (g.random(n) < share).astype(int)
    return y, 1 / (1 + np.exp(-(2 * y - 1 + g.normal(0, noise, n))))


def of_ties(g, n, scores):
    y, p = scored(g, n)
    return y, np.asarray(scores)[(p * len(scores)).astype(int)]


def separated(g, n, inverted):
    y = g.permutation(np.arange(n) % 2)
    p = np.where(y == 1, g.uniform(0.5, 1, n), g.uniform(0, 0.499, n))
    return y, 1 - p if inverted else p


def near_the_ends(g, n):
    y, p = scored(g, n)
    return y, np.where(p > 0.5, 1 - 1e-6 * g.integers(0, 9, n), 1e-6 * g.integers(0, 9, n))


def one_label(g, n, label):
    return np.full(n, label), scored(g, n)[1]


BINARY = {
    "plain": lambda g, n: scored(g, n),
    "better": lambda g, n: scored(g, n, 0.5, 0.7),
    "noise": lambda g, n: scored(g, n, 0.5, 20),
    "rare positives": lambda g, n: scored(g, max(n, 15), 0.06),
    "few negatives": lambda g, n: scored(g, max(n, 15), 0.92),
    "tenths": lambda g, n: of_ties(g, n, np.arange(11) / 10),
    "fifteenths": lambda g, n: of_ties(g, n, np.arange(16) / 15),
    "three scores": lambda g, n: of_ties(g, n, [0.2, 0.5, 0.8]),
    "0, 1 and a half": lambda g, n: of_ties(g, n, [0.0, 0.5, 1.0]),
    "0 and 1": lambda g, n: of_ties(g, n, [0.0, 1.0]),
    "near 0 and near 1": near_the_ends,
    "one score": lambda g, n: (scored(g, n)[0], np.full(n, g.choice([0.0, 0.25, 0.5, 0.700001, 1.0]))),
    "only positives": lambda g, n: one_label(g, n, 1),
    "only negatives": lambda g, n: one_label(g, n, 0),
    "separated": lambda g, n: separated(g, n, False),
    "separated, inverted": lambda g, n: separated(g, n, True),
    "one row": lambda g, n: scored(g, 1),
    "two rows": lambda g, n: scored(g, 2),
}


def binary(g):
    for at, (name, make) in enumerate(BINARY.items()):
        for i in range(10):
            y, p = make(g, rows(g, i))
            p = rounded(p)
            threshold = g.choice([0.5, 0.5, 0.5, 0.3, 0.75, 0.0, 1.0, p[0]])
            yield f"{name} {i + 1}", {"y": y, "p": p, "w": WEIGHTS[(i + at) % 10](g, len(y)), "threshold": threshold}
    yield "all weights 0", {"y": np.array([0, 1, 1]), "p": np.array([0.2, 0.7, 0.4]), "w": np.zeros(3), "threshold": 0.5}


def averages(y, decided, w, betas):
    weighed = slice(None) if w is None or not w.any() else w > 0
    labels = np.union1d(y[weighed], decided[weighed])
    found = {}
    for average in ["macro", "micro", "weighted"]:
        for name, at, beta in [("precision", 0, 1), ("recall", 1, 1), ("f1", 2, 1)] + betas.get(average, []):
            found[f"{name}_{average}"] = lambda average=average, at=at, beta=beta: m.precision_recall_fscore_support(
                y, decided, beta=beta, labels=labels, average=average, sample_weight=w, zero_division=0
            )[at]
    return found


def calibration(y, p, w, bins):
    """Of each bin with weight: its weight, and how far the labels are from the scores there."""
    w = np.ones(len(y)) if w is None else w
    at = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p)
    inside = [at == b for b in range(bins) if w[at == b].sum() > 0]
    return [(w[b].sum(), abs(np.average(y[b], weights=w[b]) - np.average(p[b], weights=w[b]))) for b in inside]


def ece(y, p, w, bins):
    found = calibration(y, p, w, bins)
    return sum(weight * gap for weight, gap in found) / sum(weight for weight, _ in found)


def mce(y, p, w, bins):
    return max(gap for _, gap in calibration(y, p, w, bins))


def expect_binary(y, p, w, threshold):
    decided = (p >= threshold).astype(int)
    of_decisions = {"y_true": y, "y_pred": decided, "sample_weight": w}
    return told({
        "accuracy": lambda: m.accuracy_score(**of_decisions),
        "balanced_accuracy": lambda: m.balanced_accuracy_score(**of_decisions),
        "precision": lambda: m.precision_score(**of_decisions, zero_division=0),
        "recall": lambda: m.recall_score(**of_decisions, zero_division=0),
        "f1": lambda: m.f1_score(**of_decisions, zero_division=0),
        "fbeta_2": lambda: m.fbeta_score(**of_decisions, beta=2, zero_division=0),
        "fbeta_0.5": lambda: m.fbeta_score(**of_decisions, beta=0.5, zero_division=0),
        "specificity": lambda: m.recall_score(**of_decisions, pos_label=0, zero_division=0),
        **averages(y, decided, w, {}),
        "mcc": lambda: m.matthews_corrcoef(**of_decisions),
        "kappa": lambda: m.cohen_kappa_score(y, decided, sample_weight=w),
        "roc_auc": lambda: m.roc_auc_score(y, p, sample_weight=w),
        "average_precision": lambda: m.average_precision_score(y, p, sample_weight=w),
        "log_loss": lambda: m.log_loss(y, p, labels=[0, 1], sample_weight=w),
        "brier": lambda: m.brier_score_loss(y, p, pos_label=1, sample_weight=w),
        "ece_15": lambda: ece(y, p, w, 15),
        "mce_15": lambda: mce(y, p, w, 15),
        "ece_10": lambda: ece(y, p, w, 10),
        "confusion": lambda: m.confusion_matrix(**of_decisions, labels=[0, 1]),
    })


# Several classes.


def shares(raw, unit=1_000_000):
    """Rows of whole units, the last class taking the rest."""
    units = np.floor(raw / raw.sum(axis=1, keepdims=True) * unit).astype(int)
    units[:, -1] = unit - units[:, :-1].sum(axis=1)
    return units / unit


def classes(g, n, k, unit=1_000_000, labels=None, priors=None):
    """Labels out of some of the classes, and scores that lean towards them."""
    y = g.choice(k if labels is None else labels, n, p=priors)
    return y, shares(np.exp(g.normal(0, 1, (n, k)) + 1.3 * (np.arange(k) == y[:, None])), unit)


def certain(g, n, k):
    y, prob = classes(g, n, k)
    return y, np.eye(k)[prob.argmax(axis=1)]


def never_decided(g, n, k):
    y, prob = classes(g, n, k)
    prob[:, 1] *= 1e-3
    return y, shares(prob)


def right_or_wrong(g, n, k, off):
    y, prob = classes(g, n, k)
    prob[np.arange(n), (y + off) % k] += 2
    return y, shares(prob)


def two_first(g, n, k):
    """Two classes share the first place."""
    y = g.integers(0, k, n)
    prob = np.full((n, k), 0.125 / (k - 2))
    for row in prob:
        row[g.choice(k, 2, replace=False)] = 0.4375
    return y, prob


MULTICLASS = {
    "three classes": lambda g, n: classes(g, n, 3),
    "four classes": lambda g, n: classes(g, n, 4),
    "eight classes": lambda g, n: classes(g, n, 8),
    "two classes": lambda g, n: classes(g, n, 2),
    "tenths": lambda g, n: classes(g, n, 3, 10),
    "quarters": lambda g, n: classes(g, n, 4, 4),
    "certain": lambda g, n: certain(g, n, 4),
    "all scores equal": lambda g, n: (g.integers(0, 4, n), np.full((n, 4), 0.25)),
    "two in the first place": lambda g, n: two_first(g, n, 4),
    "uneven": lambda g, n: classes(g, n, 3, priors=[0.85, 0.1, 0.05]),
    "a class without rows": lambda g, n: classes(g, n, 3, labels=[0, 2]),
    "many classes without rows": lambda g, n: classes(g, n, 7, labels=[1, 4, 5]),
    "two labels of four": lambda g, n: classes(g, n, 4, labels=[0, 1]),
    "a class never decided": lambda g, n: never_decided(g, n, 3),
    "one label": lambda g, n: classes(g, n, 3, labels=[1]),
    "all right": lambda g, n: right_or_wrong(g, n, 3, 0),
    "all wrong": lambda g, n: right_or_wrong(g, n, 3, 1),
    "one row": lambda g, n: classes(g, 1, 3),
    "two rows": lambda g, n: classes(g, 2, 3),
    "three rows": lambda g, n: classes(g, 3, 3),
}


def multiclass(g):
    for at, (name, make) in enumerate(MULTICLASS.items()):
        for i in range(5):
            n = int(g.integers(90, 121)) if i == 4 and at % 4 == 0 else int(g.integers(3, 36))
            y, prob = make(g, n)
            w = WEIGHTS[(i + 5 * at) % 10](g, len(y))
            yield f"{name} {i + 1}", {"y": y, "prob": prob, "labels": list(range(prob.shape[1])), "w": w}


def expect_multiclass(y, prob, labels, w):
    decided = prob.argmax(axis=1)
    of_decisions = {"y_true": y, "y_pred": decided, "sample_weight": w}
    expected = {
        "accuracy": lambda: m.accuracy_score(**of_decisions),
        "balanced_accuracy": lambda: m.balanced_accuracy_score(**of_decisions),
        "mcc": lambda: m.matthews_corrcoef(**of_decisions),
        "kappa": lambda: m.cohen_kappa_score(y, decided, sample_weight=w),
        "confusion": lambda: m.confusion_matrix(**of_decisions, labels=labels),
        "log_loss": lambda: m.log_loss(y, prob, labels=labels, sample_weight=w),
        "brier": lambda: m.brier_score_loss(y, prob, labels=labels, sample_weight=w),
        **averages(y, decided, w, {"macro": [("fbeta_2", 2, 2)]}),
        "ece_15": lambda: ece((y == decided).astype(int), prob.max(axis=1), w, 15),
    }
    if len(labels) > 2:
        for way in ["ovr", "ovo"] if w is None else ["ovr"]:
            for average in ["macro", "weighted"]:
                expected[f"roc_auc_{way}_{average}"] = lambda way=way, average=average: m.roc_auc_score(
                    y, prob, multi_class=way, average=average, labels=labels, sample_weight=w
                )
        expected["top_2_accuracy"] = lambda: m.top_k_accuracy_score(y, prob, k=2, labels=labels, sample_weight=w)
    return told(expected)


# Regression. The constants are such that their mean is exactly they.


def near(g, y, spread):
    return y, y + g.normal(0, spread, len(y))


REGRESSION = {
    "plain": lambda g, n: near(g, g.normal(8, 2, n), 0.6),
    "around 0": lambda g, n: near(g, g.normal(0, 0.3, n), 0.1),
    "far below 0": lambda g, n: near(g, g.normal(-40, 20, n), 5),
    "counts": lambda g, n: (g.poisson(1.5, n), g.poisson(1.5, n)),
    "zero targets": lambda g, n: near(g, np.where(g.random(n) < 0.3, 0, g.exponential(3, n)), 0.5),
    "large": lambda g, n: near(g, 10 ** g.uniform(3, 8, n), 1e4),
    "small": lambda g, n: near(g, g.uniform(0, 5e-5, n), 5e-6),
    "far from 0": lambda g, n: near(g, 1e6 + g.normal(0, 1, n), 0.3),
    "heavy tails": lambda g, n: near(g, g.standard_cauchy(n) * 5, 1),
    "worse than the mean": lambda g, n: (g.normal(0, 1, n), g.normal(3, 4, n)),
    "right": lambda g, n: near(g, g.normal(0, 2, n), 0),
    "constant target, wrong": lambda g, n: near(g, np.full(n, g.choice([0.0, 2.5, -0.75, 3.0])), 1),
    "constant target, right": lambda g, n: near(g, np.full(n, g.choice([0.0, 2.5, -0.75, 3.0])), 0),
    "constant prediction": lambda g, n: (g.normal(5, 2, n), np.full(n, 5.25)),
    "one row": lambda g, n: near(g, g.normal(5, 2, 1), 1),
    "two rows": lambda g, n: near(g, g.normal(5, 2, 2), 1),
}


def regression(g):
    for at, (name, make) in enumerate(REGRESSION.items()):
        for i in range(5):
            y, p = make(g, rows(g, 5 * at + i))
            w = EXACT_WEIGHTS[(i + at) % 5](g, len(y))
            if w is not None and np.count_nonzero(w) == 1:  # a number times and by such a weight is that number
                w = np.where(w > 0, 2.0, 0.0)
            yield f"{name} {i + 1}", {"y": rounded(y), "p": rounded(p), "w": w}
    yield "all weights 0", {"y": np.array([1.0, 2.0, 4.0]), "p": np.array([1.5, 2.0, 3.0]), "w": np.zeros(3)}


def expect_regression(y, p, w):
    given = {"y_true": y, "y_pred": p, "sample_weight": w}
    return told({
        "mae": lambda: m.mean_absolute_error(**given),
        "mse": lambda: m.mean_squared_error(**given),
        "rmse": lambda: m.root_mean_squared_error(**given),
        "r2": lambda: m.r2_score(**given),
        "mape": lambda: m.mean_absolute_percentage_error(**given),
        "median_ae": lambda: m.median_absolute_error(**given),
        "explained_variance": lambda: m.explained_variance_score(**given),
        "max_error": lambda: m.max_error(y, p),
        "pinball_0.1": lambda: m.mean_pinball_loss(**given, alpha=0.1),
        "pinball_0.5": lambda: m.mean_pinball_loss(**given, alpha=0.5),
        "pinball_0.9": lambda: m.mean_pinball_loss(**given, alpha=0.9),
        "rmsle": lambda: m.root_mean_squared_log_error(**given),
    })


# Ranking. A maker gives one query of n documents.


def graded(g, n, scores):
    relevance = g.choice(5, n, p=[0.45, 0.2, 0.15, 0.1, 0.1])
    return relevance, scores(relevance / 4 + g.normal(0, 0.5, n))


RANKING = {
    "plain": lambda g, n: graded(g, n, lambda s: s),
    "tenths": lambda g, n: graded(g, n, lambda s: np.round(s, 1)),
    "three scores": lambda g, n: graded(g, n, lambda s: np.clip(np.round(s), 0, 2)),
    "one score": lambda g, n: graded(g, n, lambda s: np.full(n, 0.5)),
    "relevant or not": lambda g, n: (g.random(n) < 0.3, g.random(n)),
    "one relevant": lambda g, n: (np.eye(n, dtype=int)[g.integers(n)] * g.integers(1, 5), np.round(g.random(n), 1)),
    "often nothing relevant": lambda g, n: (graded(g, n, abs)[0] * (g.random() < 0.4), g.random(n)),
    "all relevant": lambda g, n: (g.integers(1, 5, n), np.round(g.normal(0, 3, n), 1)),
    "best order": lambda g, n: ((relevance := g.integers(0, 5, n)), relevance / 4),
    "worst order": lambda g, n: ((relevance := g.integers(0, 5, n)), -relevance / 4),
}


def ranking(g):
    for name, make in RANKING.items():
        for i, k in enumerate([None, 3, 1, 10, 5]):
            queries = [make(g, int(g.integers(2, [12, 8, 20, 9, 30][i]))) for _ in range(int(g.integers(1, 9)))]
            queries = [{"relevance": np.asarray(r, int), "score": rounded(s)} for r, s in queries]
            yield f"{name} {i + 1}", {"queries": queries, "k": k}


def expected_precision(hits, score, k):
    """Each relevant row by the chance that it is among the first k."""
    chance = [min(max((k - (score > s).sum()) / (score == s).sum(), 0), 1) for s in score]
    return sum(c for c, hit in zip(chance, hits) if hit) / k


def expected_reciprocal_rank(hits, score):
    """The first relevant rows share a score with m - r others: the first of them is at place i with probability C(m-i-1, r-1) / C(m, r)."""
    best = score[hits].max()
    before, m_, r = int((score > best).sum()), int((score == best).sum()), int((hits & (score == best)).sum())
    return sum(math.comb(m_ - i - 1, r - 1) / math.comb(m_, r) / (before + i + 1) for i in range(m_ - r + 1))


def expect_ranking(queries, k):
    ndcg, precision, ap, reciprocal = [], [], [], []
    for query in queries:
        relevance, score = query["relevance"], query["score"]
        hits = relevance > 0
        ndcg.append(m.ndcg_score([relevance], [score], k=k, ignore_ties=False))
        precision.append(expected_precision(hits, score, k or len(hits)))
        ap.append(m.average_precision_score(hits, score) if any(hits) else 0.0)
        reciprocal.append(expected_reciprocal_rank(hits, score) if any(hits) else 0.0)
    return {"ndcg": np.mean(ndcg), "precision_at_k": np.mean(precision), "map": np.mean(ap), "mrr": np.mean(reciprocal)}


# Two models.


def two_scores(g, n, digits, noise_b, share=0.4):
    y = g.permutation(np.arange(n) < max(2, min(n - 2, round(share * n)))).astype(int)
    a, b = (1 / (1 + np.exp(-(2 * y - 1 + g.normal(0, noise, n)))) for noise in (1.0, noise_b))
    return y, rounded(a, digits), rounded(b, digits)


def same_order(g, n):
    y, a, _ = two_scores(g, n, 3, 1)
    return y, a, rounded(a / 2 + 0.25)


def reversed_order(g, n):
    y = g.permutation(np.arange(n) % 2)
    return y, rounded(y * 0.5 + 0.4 * g.random(n)), rounded((1 - y) * 0.5 + 0.4 * g.random(n))


DELONG = {
    "plain": lambda g, n: two_scores(g, n, 6, 2),
    "alike": lambda g, n: two_scores(g, n, 6, 1),
    "tenths": lambda g, n: two_scores(g, n, 1, 2),
    "0 and 1": lambda g, n: two_scores(g, n, 0, 2),
    "rare positives": lambda g, n: two_scores(g, n, 4, 2, 0.03),
    "same scores": lambda g, n: ((found := two_scores(g, n, 2, 1))[0], found[1], found[1]),
    "same order": same_order,
    "one constant": lambda g, n: (*two_scores(g, n, 2, 1)[:2], np.full(n, 0.5)),
    "both constant": lambda g, n: (two_scores(g, n, 2, 1)[0], np.full(n, 0.5), np.full(n, 0.25)),
    "right and reversed": reversed_order,
}


def delong(g):
    for name, make in DELONG.items():
        for i, largest in enumerate([30, 200]):
            yield f"{name} {i + 1}", dict(zip("yab", make(g, int(g.integers(largest // 4, largest + 1)))))


def twice_components(y, score):
    """How often each positive beats a negative, and each negative loses to a positive: twice, as a tie is half."""
    positive, negative = score[y == 1][:, None], score[y == 0][None, :]
    wins = 2 * (positive > negative) + (positive == negative)
    return wins.sum(axis=1).tolist(), wins.sum(axis=0).tolist()


def variance_of_mean(counts, scale):
    """In whole numbers up to the end, so that none is none."""
    n = len(counts)
    return (n * sum(c * c for c in counts) - sum(counts) ** 2) / (n * n * (n - 1) * scale * scale)


def expect_delong(y, a, b):
    (a_positive, a_negative), (b_positive, b_negative) = (twice_components(y, score) for score in (a, b))
    positives, negatives = len(a_positive), len(a_negative)
    by_positive = [of_a - of_b for of_a, of_b in zip(a_positive, b_positive)]
    by_negative = [of_a - of_b for of_a, of_b in zip(a_negative, b_negative)]
    pairs = 2 * positives * negatives
    variance = variance_of_mean(by_positive, 2 * negatives) + variance_of_mean(by_negative, 2 * positives)
    z = sum(by_positive) / pairs / math.sqrt(variance) if variance else 0.0
    p = 2 * norm.sf(abs(z)) if variance else 1.0
    return {"auc_a": sum(a_positive) / pairs, "auc_b": sum(b_positive) / pairs, "var_diff": variance, "z": z, "p": p}


def decisions(g, both, only_a, only_b, neither, k=2):
    """Rows of which so many are decided rightly by both, by a, by b and by neither."""
    y = g.integers(0, k, both + only_a + only_b + neither)
    order = g.permutation(len(y))
    right_a = order < both + only_a
    right_b = (order < both) | ((order >= both + only_a) & (order < both + only_a + only_b))
    wrong = (y + g.integers(1, k, len(y))) % k
    return y, np.where(right_a, y, wrong), np.where(right_b, y, wrong)


MCNEMAR = {
    "no discordant pair": [(9, 0, 0, 4), (1, 0, 0, 0)],
    "nothing but discordant pairs": [(0, 6, 3, 0), (0, 20, 12, 0)],
    "one discordant pair": [(5, 1, 0, 1), (5, 0, 1, 1)],
    "24 discordant pairs": [(20, 17, 7, 5), (20, 24, 0, 5)],
    "25 discordant pairs": [(20, 17, 8, 5), (20, 0, 25, 5)],
    "26 discordant pairs": [(20, 13, 13, 5), (20, 3, 23, 5)],
    "evenly": [(10, 4, 4, 3), (60, 30, 30, 5)],
    "one side": [(10, 9, 0, 3), (30, 0, 60, 5)],
    "three classes": [(12, 7, 3, 6), (50, 40, 25, 20)],
    "few": [(3, 2, 1, 1), (2, 1, 3, 0)],
}


def mcnemars(g):
    for name, sizes in MCNEMAR.items():
        for i, counts in enumerate(sizes):
            k = 3 if name == "three classes" else 2
            yield f"{name} {i + 1}", dict(zip("yab", decisions(g, *counts, k)))


def expect_mcnemar(y, a, b):
    n01, n10 = int(((a == y) & (b != y)).sum()), int(((a != y) & (b == y)).sum())
    table = [[int(((a == y) & (b == y)).sum()), n01], [n10, int(((a != y) & (b != y)).sum())]]
    found = mcnemar(table, exact=n01 + n10 < 25, correction=True)
    return {"n01": n01, "n10": n10, "p": found.pvalue, "statistic": found.statistic}


P_VALUES = {
    "uniform": lambda g, n: g.random(n),
    "some small": lambda g, n: np.where(g.random(n) < 0.4, g.random(n) ** 6, g.random(n)),
    "ties": lambda g, n: g.choice([0.001, 0.01, 0.02, 0.04, 0.3], n),
    "zeros and ones": lambda g, n: g.choice([0.0, 1.0, 0.03], n),
    "one": lambda g, n: g.choice([0.05, 0.06], 1),
}


def benjamini_hochberg(g):
    for name, make in P_VALUES.items():
        for i, alpha in enumerate([0.05, 0.1, 0.01, 0.2]):
            yield f"{name} {i + 1}", {"p": rounded(make(g, int(g.integers(2, 30)))), "alpha": alpha}


def expect_benjamini_hochberg(p, alpha):
    reject, adjusted, *_ = multipletests(p, alpha, method="fdr_bh")
    return {"reject": reject, "adjusted": adjusted}


# Fairness.


def grouped(g, n, names, shares=None, groups_labels=(0, 1)):
    """Every group has each of the labels, and half of the rest is decided rightly."""
    groups = g.permutation(np.concatenate([np.repeat(names, 2), g.choice(names, max(0, n - 2 * len(names)), p=shares)]))
    y = g.integers(0, 2, len(groups))
    for name in names:
        y[np.flatnonzero(groups == name)[:2]] = groups_labels
    return y, np.where(g.random(len(y)) < 0.5, y, g.integers(0, 2, len(y))), groups


def without(g, n, label):
    y, d, groups = grouped(g, n, ["a", "b", "c"])
    y[groups == "b"] = 1 - label
    return y, d, groups


def always(found, decision):
    return found[0], np.full(len(found[0]), decision), found[2]


FAIRNESS = {
    "two groups": lambda g, n: grouped(g, n, ["f", "m"]),
    "three groups": lambda g, n: grouped(g, n, ["a", "b", "c"]),
    "six groups": lambda g, n: grouped(g, n, ["", "b", "Zürich", "東京", "e f", "0"]),
    "uneven groups": lambda g, n: grouped(g, 3 * n, ["few", "most"], [0.04, 0.96]),
    "one group": lambda g, n: grouped(g, n, ["all"]),
    "right": lambda g, n: ((found := grouped(g, n, ["a", "b"]))[0], found[0], found[2]),
    "a group without positives": lambda g, n: without(g, n, 1),
    "a group without negatives": lambda g, n: without(g, n, 0),
    "nobody": lambda g, n: always(grouped(g, n, ["a", "b"]), 0),
    "everybody": lambda g, n: always(grouped(g, n, ["a", "b"]), 1),
}


def fairness(g):
    for name, make in FAIRNESS.items():
        for i in range(3):
            y, d, groups = make(g, int(g.integers(4, 60)))
            yield f"{name} {i + 1}", {"y": y, "d": d, "groups": groups}


def expect_fairness(y, d, groups):
    names = ["demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference", "equalized_odds_ratio"]
    names += ["equal_opportunity_difference"]
    return told({name: lambda name=name: getattr(fair, name)(y, d, sensitive_features=groups) for name in names})


# The bootstrap. Its limits are random: they are to be met roughly.


BOOTSTRAP = {
    "plain": lambda g: two_scores(g, 300, 4, 1.6),
    "alike": lambda g: two_scores(g, 400, 4, 1.05),
    "much worse": lambda g: two_scores(g, 200, 4, 4),
    "tenths": lambda g: ((found := two_scores(g, 250, 1, 1.5))[0], np.clip(found[1], 0.1, 0.9), np.clip(found[2], 0.1, 0.9)),
    "uneven": lambda g: two_scores(g, 350, 4, 1.4, 0.1),
}


def bootstraps(g):
    for name, make in BOOTSTRAP.items():
        y, a, b = make(g)
        yield name, {"y": y, "a": np.clip(a, 1e-4, 1 - 1e-4), "b": np.clip(b, 1e-4, 1 - 1e-4)}


def gain_in_accuracy(y, a, b, axis=-1):
    return np.mean(((b >= 0.5) == y).astype(float) - ((a >= 0.5) == y), axis=axis)


def gain_in_log_loss(y, a, b, axis=-1):
    loss_a, loss_b = (-np.log(np.where(y == 1, p, 1 - p)) for p in (a, b))
    return np.mean(loss_b - loss_a, axis=axis)


def expect_bootstrap(y, a, b):
    found = {}
    for name, gain in [("accuracy", gain_in_accuracy), ("log_loss", gain_in_log_loss)]:
        interval = bootstrap(
            (y, a, b), gain, paired=True, vectorized=True, n_resamples=20_000, batch=1_000, confidence_level=0.95,
            method="percentile", rng=np.random.default_rng(SEED),
        ).confidence_interval
        found[name] = {"difference": gain(y, a, b), "low": interval.low, "high": interval.high}
    return found


# All of them.


KINDS = {
    "binary": (binary, expect_binary),
    "multiclass": (multiclass, expect_multiclass),
    "regression": (regression, expect_regression),
    "ranking": (ranking, expect_ranking),
    "delong": (delong, expect_delong),
    "mcnemar": (mcnemars, expect_mcnemar),
    "benjamini_hochberg": (benjamini_hochberg, expect_benjamini_hochberg),
    "fairness": (fairness, expect_fairness),
    "bootstrap": (bootstraps, expect_bootstrap),
}
TURNED = ["binary", "multiclass", "regression", "delong", "fairness"]


def turned(given):
    """The same rows from the last to the first, of three times the weight."""
    listed = ["y", "p", "prob", "a", "b", "d", "groups", "w"]
    other = {key: value[::-1] if key in listed and value is not None else value for key, value in given.items()}
    return {**other, "w": other["w"] * 3} if other.get("w") is not None else other


def agree(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-11, abs_tol=1e-13)
    return one == other


def hangs_on_rounding(kind, given, expected):
    if kind == "benjamini_hochberg":
        return expected["reject"] != [value <= given["alpha"] for value in expected["adjusted"]]
    if kind not in TURNED:
        return False
    again = plain(KINDS[kind][1](**turned(given)))
    return not all(agree(value, again[name]) for name, value in expected.items() if name != "confusion")


def cases_of(number, kind):
    make, expect = KINDS[kind]
    for name, given in make(np.random.default_rng([SEED, number])):
        expected = plain(expect(**given))
        if hangs_on_rounding(kind, given, expected):
            sys.exit(f"{kind} {name} hangs on rounding; take another seed.")
        yield {"kind": kind, "name": name, **plain(given), "expect": expected}


def main():
    warnings.simplefilter("ignore")
    cases = [case for number, kind in enumerate(KINDS) for case in cases_of(number, kind)]
    lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
    versions = json.dumps({name: version(name) for name in LIBRARIES})
    FILE.write_text(f'{{"versions": {versions}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
