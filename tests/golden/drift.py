#!/usr/bin/env python3
"""Makes fixtures/golden/drift.json: pairs of columns, and what SciPy and Evidently say of their drift.

    python3 -m venv .venv && .venv/bin/pip install numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 evidently==0.7.23
    PYTHONHASHSEED=0 .venv/bin/python tests/golden/drift.py

The same versions give the same file. Evidently adds up categories in the order of a Python set, hence the hash seed.
"""

import json
import math
import pathlib
import sys
import warnings
from bisect import bisect_right
from importlib.metadata import version

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import jensenshannon_stat_test, psi_stat_test, wasserstein_stat_test
from evidently.legacy.core import ColumnType
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

FILE = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "drift.json"
LIBRARIES = ["numpy", "scipy", "pandas", "evidently"]
SMALLEST, LARGEST = 5e-324, sys.float_info.max


# The columns. A maker takes a generator and two sizes, and may choose other sizes.


def close(g, n, m):
    """Neighbours of one number: a bin is a few floats wide."""
    base = g.choice([1.0, -3.0, 1e6, 1e-5])
    return base * (1 + g.integers(0, 40, n) * 2.0**-52), base * (1 + g.integers(5, 45, m) * 2.0**-52)


def nudged(g, n, m):
    x = g.normal(0, 1, n)
    return x, x * (1 + 1e-15)


def some_then_many(g, n, m):
    """Evidently counts values up to 20 distinct ones in the reference, and takes bins beyond."""
    distinct = int(g.choice([20, 21]))
    return np.resize(np.arange(distinct) * 0.7, max(n, distinct)), g.integers(0, 30, m) * 0.7


def power_of_two(g, n, m):
    """Where Sturges' number of bins is whole but for rounding."""
    total = 2 ** int(g.integers(6, 9))
    n = int(g.integers(24, total - 8))
    return g.normal(0, 1, n), g.normal(0, 1, total - n)


def magnitudes(g, n):
    return g.choice([-1, 1], n) * 10.0 ** g.uniform(-6, 6, n)


def zeros(g, n):
    return np.where(g.random(n) < 0.6, g.choice([0.0, -0.0], n), g.exponential(3, n))


NUMERIC = {
    "normal": lambda g, n, m: (g.normal(0, 1, n), g.normal(0.3, 1.2, m)),
    "rounded": lambda g, n, m: (g.normal(50, 20, n).round(1), g.normal(55, 20, m).round(1)),
    "same distribution": lambda g, n, m: (g.gamma(2, 3, n).round(2), g.gamma(2, 3, m).round(2)),
    "identical": lambda g, n, m: (x := g.normal(0, 1, n).round(3), x),
    "shuffled": lambda g, n, m: (x := g.normal(0, 1, n).round(3), g.permutation(x)),
    "nudged": nudged,
    "close": close,
    "disjoint": lambda g, n, m: (g.uniform(0, 1, n).round(3), g.uniform(5, 6, m).round(3)),
    "outside": lambda g, n, m: (g.uniform(0, 1, n).round(3), g.uniform(-3, 4, m).round(3)),
    "two humps": lambda g, n, m: (g.normal(0, 1, n).round(2), g.choice([-4, 4], m) + g.normal(0, 1, m).round(2)),
    "heavy ties": lambda g, n, m: (g.choice(5, n, p=[0.8, 0.1, 0.05, 0.03, 0.02]), g.choice(4, m)),
    "zero or one": lambda g, n, m: (g.random(n) < 0.3, g.random(m) < 0.4),
    "few integers": lambda g, n, m: (g.integers(0, 12, n), g.integers(2, 14, m)),
    "many integers": lambda g, n, m: (g.integers(-30, 60, n), g.integers(-20, 90, m)),
    "in order": lambda g, n, m: (np.arange(n), np.arange(m) + 7),
    "20 or 21 values": some_then_many,
    "power of two": power_of_two,
    "zeros": lambda g, n, m: (zeros(g, n).round(2), zeros(g, m).round(2)),
    "mixed signs": lambda g, n, m: (magnitudes(g, n), magnitudes(g, m)),
    "Cauchy": lambda g, n, m: (g.standard_cauchy(n), 1 + g.standard_cauchy(m)),
    "Pareto": lambda g, n, m: (g.pareto(0.7, n), g.pareto(0.5, m)),
    "lognormal": lambda g, n, m: (g.lognormal(0, 4, n), g.lognormal(1, 4, m)),
    "huge": lambda g, n, m: (g.normal(0, 1, n) * 1e300, g.normal(0.5, 1, m) * 1e300),
    "tiny": lambda g, n, m: (g.normal(0, 1, n) * 1e-300, g.normal(0.5, 1, m) * 1e-300),
    "subnormal": lambda g, n, m: (g.integers(-90, 90, n) * SMALLEST, g.integers(-50, 130, m) * SMALLEST),
    "huge and tiny": lambda g, n, m: (g.choice([1e300, 1e-300, -1e300, 1.0], n), g.choice([1e300, -1e-300, 2.0], m)),
    "constant now": lambda g, n, m: (g.normal(0, 1, n).round(2), np.full(m, 0.25)),
    "constant then": lambda g, n, m: (np.full(n, 0.25), g.normal(0, 1, m).round(2)),
}
ONE_NUMERIC = {
    "same constant": ([7.5] * 40, [7.5] * 23),
    "different constant": ([7.5] * 40, [-2.0] * 23),
    "zero and negative zero": ([0.0] * 9, [-0.0] * 12),
    "one row each, same": ([3.0], [3.0]),
    "one row each, different": ([3.0], [4.0]),
    "one row then": ([0.5], [0.25, 0.5, 0.75, 1.0]),
    "one row now": ([0.25, 0.5, 0.75, 1.0], [0.5]),
    "one NULL each": ([None], [None]),
    "one NULL then": ([None], [1.0, 2.0, 2.0]),
    "one value among NULLs": ([None] * 30 + [1.0], [None] * 3 + [1.0] * 9),
    "only NULLs": ([None] * 12, [None] * 30),
    "only NULLs then": ([None] * 12, [float(i % 7) for i in range(50)]),
    "only NULLs now": ([float(i % 37) for i in range(50)], [None] * 12),
    "ten rows": ([float(i) for i in range(10)], [float(i) + 0.5 for i in range(10)]),
    "nine and eleven rows": ([float(i) for i in range(9)], [float(i) for i in range(11)]),
    "thirty rows": ([float(i) for i in range(30)], [float(i) for i in range(0, 60, 2)]),
    "one smallest number": ([0.0] * 8 + [SMALLEST], [0.0] * 3 + [-SMALLEST] * 5),
    "largest numbers": ([LARGEST, -LARGEST, 1.0], [-LARGEST, 0.0]),
    "largest numbers, one side each": ([LARGEST] * 4, [-LARGEST] * 4),
    "largest numbers in bins": ([LARGEST * (i / 20 - 1) for i in range(41)], [LARGEST * (1 - i / 8) for i in range(9)]),
    "one row larger than the rest": ([float(i) for i in range(40)], [float(i) for i in range(39)] + [1e300]),
    "millions apart": ([float(i) for i in range(25)], [1e6 + i for i in range(25)]),
    "no rows": ([], []),
    "no rows then": ([], [1.0, 2.0]),
    "no rows now": ([1.0, 2.0], []),
    # Ten thousand rows: the least share there is falls under the floors of 0.0001.
    "a share at the floor": ([0.0] * 9999 + [1.0], [0.0] * 40 + [2.0]),
    "shares under the floor": ([float(i % 22 if i % 9 == 0 else 3) for i in range(10_500)] + [60.0], [3.0] * 90 + [90.0]),
    "one NULL in many": ([None] + [float(i % 25) for i in range(300)], [float(i % 26) for i in range(299)] + [None]),
}

WORDS = ["red", "green", "blue", "cyan", "black", "white", "brown", "pink"]
# By code point the last two are the other way round than in UTF-16; the first two look the same and are not.
UNICODE = ["é", "e\u0301", "Zürich", "zürich", "東京", "Ελλάδα", "مرحبا", "\u200b", "ß", "SS", "\uff5e", "😀"]
CONFUSABLE = ["", " ", "  ", "null", "NULL", "nan", "NaN", "None", "0", "0.0", "00", "1", "10", "9", "1e3", "true", "a,b", "a\"b", "a\\b", "a\nb", "\t"]


def skewed(g, values, n):
    return g.choice(np.array(values, object), n, p=g.dirichlet(np.full(len(values), 0.8)))


CATEGORICAL = {
    "words": lambda g, n, m: (skewed(g, WORDS, n), skewed(g, WORDS, m)),
    "identical": lambda g, n, m: (x := skewed(g, WORDS, n), x),
    "shuffled": lambda g, n, m: (x := skewed(g, WORDS, n), g.permutation(x)),
    "new categories": lambda g, n, m: (skewed(g, WORDS[:3], n), skewed(g, WORDS, m)),
    "lost categories": lambda g, n, m: (skewed(g, WORDS, n), skewed(g, WORDS[2:5], m)),
    "disjoint": lambda g, n, m: (skewed(g, WORDS[:4], n), skewed(g, WORDS[4:], m)),
    "yes or no": lambda g, n, m: (skewed(g, ["yes", "no"], n), skewed(g, ["yes", "no"], m)),
    "empty string": lambda g, n, m: (skewed(g, ["", "a"], n), skewed(g, ["", "a", "b"], m)),
    "Unicode": lambda g, n, m: (skewed(g, UNICODE, n), skewed(g, UNICODE, m)),
    "confusable": lambda g, n, m: (skewed(g, CONFUSABLE, n), skewed(g, CONFUSABLE, m)),
    "keys": lambda g, n, m: ([f"k{i}" for i in range(n)], [f"k{i}" for i in range(n // 2, n // 2 + m)]),
}
ONE_CATEGORICAL = {
    "one category": (["a"] * 30, ["a"] * 11),
    "one category each": (["a"] * 30, ["b"] * 11),
    "only empty strings": ([""] * 6, [""] * 9),
    "empty strings and NULLs": (["", None, "", None], [None, None, None, ""]),
    "one row each, same": (["a"], ["a"]),
    "one row each, different": (["a"], ["b"]),
    "one row then": (["a"], ["a", "b", "b", "c"]),
    "one row now": (["a", "b", "b", "c"], ["c"]),
    "one NULL each": ([None], [None]),
    "only NULLs": ([None] * 5, [None] * 8),
    "only NULLs then": ([None] * 5, ["a", "b", "b"]),
    "only NULLs now": (["a", "b", "b"], [None] * 5),
    "NULLs of a new kind": (["a", "b"] * 20, ["a", "b", None, None] * 7),
    "no rows then": ([], ["a"]),
    "no rows now": (["a", None], []),
    "a share at the floor": (["a"] * 9999 + ["b"], ["a"] * 40 + ["c"]),
}


def columns(g):
    for kind, makers, ones in [("numeric", NUMERIC, ONE_NUMERIC), ("categorical", CATEGORICAL, ONE_CATEGORICAL)]:
        for name, make in makers.items():
            for i in range(4):
                n, m = np.exp(g.uniform(np.log([3, 25, 60, 2][i]), np.log([25, 120, 400, 400][i]), 2)).astype(int)
                pair = [np.asarray(side).astype(float if kind == "numeric" else object).tolist() for side in make(g, n, m)]
                if i == 3:
                    pair = [[None if g.random() < share else x for x in side] for side, share in zip(pair, g.uniform(0, 0.4, 2))]
                yield f"{name} {i + 1}", kind, *pair
        for name, pair in ones.items():
            yield name, kind, *pair


# What is expected of them.


def finite(compute):
    try:
        value = float(compute())
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def decile_edges(values):
    """The smallest value with a share of at least i/10 below or at it; Postgres' percentile_disc."""
    values = sorted(values)
    return sorted({values[-(-len(values) * i // 10) - 1] for i in range(1, 10)}) if values else []


def psi(reference, current):
    total = 0.0
    for r, c in zip(reference, current):
        if r or c:
            p, q = max(r / sum(reference), 1e-4), max(c / sum(current), 1e-4)
            total += (q - p) * math.log(q / p)
    return total


def chi2(reference, current):
    table = np.array([(r, c) for r, c in zip(reference, current) if r or c]).T
    if table.shape[1] == 1:
        return {"statistic": 0.0, "p": 1.0, "df": 0, "cramers_v": 0.0}
    found = chi2_contingency(table, correction=False)
    v = math.sqrt(found.statistic / table.sum())
    return {"statistic": float(found.statistic), "p": float(found.pvalue), "df": int(found.dof), "cramers_v": v}


def of_evidently(test, reference, current, kind):
    if not (reference and current):
        return None
    kind, dtype = (ColumnType.Numerical, float) if kind == "numeric" else (ColumnType.Categorical, object)
    return finite(lambda: test(pd.Series(reference, dtype=dtype), pd.Series(current, dtype=dtype), kind, None).drift_score)


def expect(kind, reference, current):
    sides = [[x for x in side if x is not None] for side in (reference, current)]
    both = all(sides)
    expected = {}
    if kind == "numeric":
        edges = decile_edges(sides[0])
        bins = [[bisect_right(edges, x) for x in side] for side in sides]
        keys = range(len(edges) + 1)
        distance = finite(lambda: wasserstein_distance(*sides)) if both else None
        spread = finite(lambda: np.std(sides[0])) if both else None  # without one, not a distance of 0
        expected["ks"] = finite(lambda: ks_2samp(*sides, method="asymp").statistic) if both else None
        expected["wasserstein"] = distance
        expected["wasserstein_normed"] = None if None in (distance, spread) else finite(lambda: distance / max(spread, 0.001))
        expected["edges"] = edges
    else:
        bins = sides
        keys = expected["values"] = sorted({*sides[0], *sides[1]})
    counts = [[side.count(key) for key in keys] + [whole.count(None)] for side, whole in zip(bins, (reference, current))]
    rows = reference and current
    expected["counts"] = dict(zip(["reference", "current"], counts))
    expected["psi"] = psi(*counts) if rows else None
    expected["js"] = finite(lambda: jensenshannon(*counts, base=2)) if rows else None
    expected["chi2"] = chi2(*counts) if rows else None
    expected["evidently"] = {
        "psi": of_evidently(psi_stat_test, *sides, kind),
        "js": of_evidently(jensenshannon_stat_test, *sides, kind),
    }
    if kind == "numeric":
        expected["evidently"]["wasserstein_normed"] = of_evidently(wasserstein_stat_test, *sides, kind)
    return expected


def main():
    if sys.flags.hash_randomization:
        sys.exit("Evidently's last digits change with the hash seed; run with PYTHONHASHSEED=0.")
    warnings.simplefilter("ignore")
    cases = [
        {"name": name, "kind": kind, "reference": reference, "current": current, "expect": expect(kind, reference, current)}
        for name, kind, reference, current in columns(np.random.default_rng(20260101))
    ]
    lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
    versions = json.dumps({name: version(name) for name in LIBRARIES})
    FILE.write_text(f'{{"versions": {versions}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
