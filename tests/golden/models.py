#!/usr/bin/env python3
r"""Makes fixtures/golden/onnx: ONNX models of real data, rows that they have not seen, and what scikit-learn says of them.

    python3 -m venv .venv && .venv/bin/pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 onnxruntime==1.32.0 \
        onnxmltools==1.16.0 lightgbm==4.7.0 xgboost-cpu==3.2.0 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 pyarrow==26.0.1 \
        protobuf==6.33.6
    .venv/bin/python tests/golden/models.py

The same versions give the same files. A Parquet file holds the inputs, the truth as `label`, and what is expected:
`expected_label` and an `expected_p_` for each class, or `expected` of a regression. They are of the library that trained
the model, with the inputs as 64-bit floats; the models take 32-bit ones, and manifest.json has how far onnxruntime is off.
A missing number is NULL in Parquet and NaN for a model. With protobuf 7 hist_gradient_boosting cannot be exported: it takes
no booleans for whole numbers.
"""

import json
import os
import pathlib
import re
import warnings
from dataclasses import dataclass
from importlib.metadata import version

os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order

import lightgbm
import numpy as np
import onnx
import onnxmltools
import onnxruntime
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost
from onnx import TensorProto, helper
from onnxmltools.convert.common.data_types import FloatTensorType as MlFloatTensorType
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn import datasets, ensemble
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures"
FOLDER = FIXTURES / "golden" / "onnx"
LIBRARIES = ["scikit-learn", "skl2onnx", "onnx", "onnxruntime", "onnxmltools", "lightgbm", "xgboost-cpu"]
LIBRARIES += ["numpy", "scipy", "pandas", "pyarrow", "protobuf"]
LATE_MINUTES = 15
FIRST_TEST_DAY = 22
WEATHER = ["temp", "wind_speed", "wind_gust", "visib", "precip", "pressure"]
NUMBERS = ["hour", "minute", "distance", "dep_delay", *WEATHER]
WORDS = ["carrier", "origin", "dest"]


# The data.


@dataclass
class Data:
    rows: pd.DataFrame
    label: pd.Series
    test: np.ndarray  # a row not to train with


def bundled(load, test_rows, **options):
    found = load(as_frame=True, **options)
    names = [re.sub(r"\W+", "_", name).strip("_") for name in found.data.columns]
    test = np.zeros(len(found.data), bool)
    test[np.random.default_rng(0).permutation(len(test))[:test_rows]] = True
    return Data(found.data.set_axis(names, axis=1), found.target, test)


def breast_cancer():
    return bundled(datasets.load_breast_cancer, 200)


def churn():
    """The class of interest, the malignant one, is the first column of the probabilities."""
    data = breast_cancer()
    return Data(data.rows, data.label.map({0: "churn", 1: "stay"}).astype(object), data.test)


def relabelled(data):
    """Classes that are called 1 and 2: whoever counts from 0 is off by one."""
    return Data(data.rows, data.label + 1, data.test)


def wine():
    return bundled(datasets.load_wine, 89)


def iris():
    return bundled(datasets.load_iris, 75)


def diabetes():
    return bundled(datasets.load_diabetes, 200, scaled=False)


def flights(columns):
    """Trained with few rows: rare destinations are unknown, and so is the one flight of OO. The test has them all."""
    frame = pd.read_parquet(FIXTURES / "flights" / "data" / "flights.parquet")
    hourly = pd.read_csv(FIXTURES / "flights" / "data" / "weather.csv")
    hourly["time_hour"] = pd.to_datetime(hourly.time_hour, utc=True).astype(frame.time_hour.dtype)
    frame = frame.merge(hourly[["origin", "time_hour", *WEATHER]], how="left", validate="many_to_one")
    frame = frame[frame.arr_delay.notna()].astype({"dep_delay": "int32", **{word: object for word in WORDS}})
    late = frame.day >= FIRST_TEST_DAY
    known = frame[~late].sample(2000, random_state=0)
    rare = late & ~(frame.carrier.isin(known.carrier) & frame.dest.isin(known.dest))
    new = pd.concat([frame[rare], frame[late & ~rare].sample(300 - rare.sum(), random_state=0)])
    both = pd.concat([known, new.sort_values("flight_id")], ignore_index=True)
    return Data(both[columns], (both.arr_delay > LATE_MINUTES).astype("int64"), np.arange(len(both)) >= len(known))


# The models, each made anew: an export takes options by the identity of a model.


def logistic(*steps):
    return make_pipeline(*steps, LogisticRegression(max_iter=1000, random_state=0))


def with_text():
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    return logistic(ColumnTransformer([("numbers", numbers, NUMBERS), ("words", words, WORDS)]))


def lightgbm_classifier():
    return lightgbm.LGBMClassifier(
        n_estimators=30, num_leaves=8, random_state=0, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1
    )


def xgboost_classifier():
    return xgboost.XGBClassifier(n_estimators=30, max_depth=3, random_state=0, n_jobs=1)


MODELS = {
    "random_forest": (breast_cancer, lambda: ensemble.RandomForestClassifier(100, min_samples_leaf=5, random_state=0)),
    "logistic": (breast_cancer, lambda: logistic(StandardScaler())),
    "gradient_boosting": (breast_cancer, lambda: ensemble.GradientBoostingClassifier(n_estimators=50, random_state=0)),
    "zipmap": (breast_cancer, lambda: logistic(StandardScaler())),
    "string_labels": (churn, lambda: ensemble.RandomForestClassifier(10, min_samples_leaf=5, random_state=0)),
    "multiclass": (wine, lambda: ensemble.RandomForestClassifier(20, min_samples_leaf=2, random_state=0)),
    "multiclass_logistic": (iris, lambda: logistic(StandardScaler())),
    "forest_regressor": (diabetes, lambda: ensemble.RandomForestRegressor(20, min_samples_leaf=4, random_state=0)),
    "linear_regressor": (diabetes, lambda: make_pipeline(StandardScaler(), Ridge())),
    "boosted_regressor": (diabetes, lambda: ensemble.GradientBoostingRegressor(n_estimators=50, random_state=0)),
    "pipeline": (lambda: flights(NUMBERS + WORDS), with_text),
    "min_max": (breast_cancer, lambda: logistic(MinMaxScaler(), PCA(5, random_state=0))),
    "select_k_best": (breast_cancer, lambda: logistic(MinMaxScaler(), SelectKBest(k=8))),
    "naive_bayes": (wine, GaussianNB),
    "knn": (iris, lambda: KNeighborsClassifier(5)),
    "mlp": (breast_cancer, lambda: make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=2000, random_state=0))),
    "svc": (iris, lambda: make_pipeline(StandardScaler(), SVC(probability=True, random_state=0))),
    "extra_trees": (breast_cancer, lambda: ensemble.ExtraTreesClassifier(30, min_samples_leaf=4, random_state=0)),
    "decision_tree": (breast_cancer, lambda: DecisionTreeClassifier(max_depth=5, min_samples_leaf=4, random_state=0)),
    # An estimator inside another has labels 0 and 1, whatever the labels are.
    "bagging": (
        lambda: relabelled(breast_cancer()),
        lambda: ensemble.BaggingClassifier(DecisionTreeClassifier(max_depth=4, min_samples_leaf=4, random_state=0), 8, random_state=0),
    ),
    "svr": (diabetes, lambda: make_pipeline(StandardScaler(), SVR(C=100))),
    "adaboost": (breast_cancer, lambda: ensemble.AdaBoostClassifier(n_estimators=15, random_state=0)),
    # Of real numbers, some missing: each takes them a way of its own at each node.
    "hist_gradient_boosting": (
        lambda: flights(NUMBERS),
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, random_state=0),
    ),
    "lightgbm": (lambda: flights(NUMBERS), lightgbm_classifier),
    "xgboost": (lambda: flights(NUMBERS), xgboost_classifier),
}


# The export.


def export(name, model, rows):
    width = [None, rows.shape[1]]
    if name == "lightgbm":
        return onnxmltools.convert_lightgbm(model, name, initial_types=[("X", MlFloatTensorType(width))], zipmap=False)
    if name == "xgboost":
        return onnxmltools.convert_xgboost(model, name, initial_types=[("X", MlFloatTensorType(width))])
    inputs = [("X", FloatTensorType(width))]
    if name == "pipeline":
        types = {column: StringTensorType if column in WORDS else FloatTensorType for column in rows}
        inputs = [(column, kind([None, 1])) for column, kind in types.items()]
    options = {id(model): {"zipmap": False}} if is_classifier(model) and name != "zipmap" else None
    return to_onnx(model, initial_types=inputs, options=options)


def unsupported():
    """Of four numbers each sum of two neighbours, by a convolution."""
    nodes = [
        helper.make_node("Unsqueeze", ["X", "axis"], ["channel"]),
        helper.make_node("Conv", ["channel", "kernel"], ["sums"], kernel_shape=[2]),
        helper.make_node("Flatten", ["sums"], ["variable"], axis=1),
    ]
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("kernel", TensorProto.FLOAT, [1, 1, 2], [1.0, 1.0]),
    ]
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])]
    outputs = [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 3])]
    graph = helper.make_graph(nodes, "unsupported", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


# What is expected, and what onnxruntime makes of it.


def predictions(model, rows):
    if not is_classifier(model):
        return pd.DataFrame({"expected": model.predict(rows).astype(float)})
    p = model.predict_proba(rows).astype(float)
    columns = {f"expected_p_{c}": p[:, i] for i, c in enumerate(model.classes_)}
    return pd.DataFrame({"expected_label": model.predict(rows), **columns})


def feeds(graph, rows):
    if len(graph.input) == 1:
        return {graph.input[0].name: rows.to_numpy(np.float32)}
    return {name: rows[[name]].to_numpy(object if name in WORDS else np.float32) for name in rows}


def differences(exported, rows, expected):
    """The farthest of the numbers, and how many labels are others."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3  # lightgbm's labels are not of the shape it declares
    session = onnxruntime.InferenceSession(exported.SerializeToString(), options, providers=["CPUExecutionProvider"])
    first, *probabilities = session.run(None, feeds(exported.graph, rows))
    if not probabilities:
        return float(np.abs(first.reshape(-1) - expected.expected).max()), None
    p = pd.DataFrame(probabilities[0]).to_numpy()  # a tensor, or a list of maps
    return float(np.abs(p - expected.iloc[:, 1:]).to_numpy().max()), int((first != expected.expected_label).sum())


def type_of(value):
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return {"name": value.name, "type": "sequence of maps"}
    tensor = value.type.tensor_type
    shape = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    return {"name": value.name, "type": TensorProto.DataType.Name(tensor.elem_type).lower(), "shape": shape}


def all_nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g)


def described(exported, task, columns):
    graph = exported.graph
    inputs = [{**type_of(i), "columns": columns if len(graph.input) == 1 else [i.name]} for i in graph.input]
    ops = sorted({f"{node.domain or 'ai.onnx'}.{node.op_type}" for node in all_nodes(graph)})
    opset = {o.domain or "ai.onnx": o.version for o in exported.opset_import}
    return {"task": task, "opset": opset, "ops": ops, "inputs": inputs, "outputs": [type_of(o) for o in graph.output]}


# The files.


def write_rows(name, frame):
    types = [None if pd.api.types.is_numeric_dtype(dtype) else pa.string() for dtype in frame.dtypes]
    arrays = [pa.array(column, kind, from_pandas=True) for (_, column), kind in zip(frame.items(), types)]
    table = pa.table(arrays, names=list(frame))
    pq.write_table(table, FOLDER / f"{name}.parquet", compression="zstd", write_statistics=False)


def write_model(name, exported):
    onnx.checker.check_model(exported)
    exported.opset_import.sort(key=lambda o: o.domain)  # the converters take them from a set
    (FOLDER / f"{name}.onnx").write_bytes(exported.SerializeToString(deterministic=True))


def fitted(name, model, data):
    rows, label = data.rows[~data.test], data.label[~data.test]
    # Only a choice of columns needs their names; xgboost's converter knows none but its own.
    return model.fit(rows, label) if name == "pipeline" else model.fit(rows.to_numpy(float), label.to_numpy())


def make(name, load, build):
    data = load()
    model = fitted(name, build(), data)
    rows, label = data.rows[data.test].reset_index(drop=True), data.label[data.test].reset_index(drop=True)
    expected = predictions(model, rows if name == "pipeline" else rows.to_numpy(float))
    exported = export(name, model, rows)
    write_model(name, exported)
    write_rows(name, pd.concat([rows, label.rename("label"), expected], axis=1))
    numbers, labels = differences(exported, rows, expected)
    task = "classification" if is_classifier(model) else "regression"
    found = {**described(exported, task, list(rows)), "rows": len(rows)}
    if is_classifier(model):
        found |= {"classes": model.classes_.tolist(), "labels_that_differ_of_onnxruntime": labels}
    return {**found, "max_abs_difference_of_onnxruntime": numbers}


def main():
    warnings.simplefilter("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = {name: make(name, *how) for name, how in MODELS.items()}
    write_model("unsupported", unsupported())
    made["unsupported"] = described(unsupported(), "unsupported", ["a", "b", "c", "d"])
    whole = (FOLDER / "logistic.onnx").read_bytes()
    (FOLDER / "corrupt.onnx").write_bytes(whole[: len(whole) // 2])
    models = ",\n".join(f"{json.dumps(name)}: {json.dumps(made[name], allow_nan=False)}" for name in made)
    versions = json.dumps({name: version(name) for name in LIBRARIES})
    (FOLDER / "manifest.json").write_text(f'{{"versions": {versions}, "models": {{\n{models}\n}}}}\n')


if __name__ == "__main__":
    main()
