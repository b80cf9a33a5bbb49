"""readers.py FILE EXPECTED: whether pandas, polars and DuckDB read from a Parquet file what the server says it holds.

EXPECTED is JSON: `kinds`, a kind for each column, and `rows`, each value as text in one way for its kind: whole numbers as
digits, floats as the hex of their bytes, text and bytes as hex, dates as days and times as microseconds since 1970.
"""

import json
import struct
import sys
import uuid

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.compute as pc

file, expected = sys.argv[1], json.load(open(sys.argv[2]))
kinds, rows = expected["kinds"], expected["rows"]


def canonical(kind, value):
    if value is None or value is pandas.NA:
        return None
    if kind.startswith("list:"):
        return [canonical(kind[5:], item) for item in value]
    if kind == "f4":
        return struct.pack(">f", value).hex()
    if kind == "f8":
        return struct.pack(">d", value).hex()
    if kind in ("text", "char"):
        return value.encode().hex()
    if kind == "bytes":
        return bytes(value).hex()
    if kind == "bool":
        return "true" if value else "false"
    if kind == "uuid":
        return (value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=bytes(value))).hex
    return format(value, "f") if kind == "dec" else str(value)


def numbers(kind, array):
    """Dates and times as the numbers that they are: Python's own end with the year 9999."""
    if kind.startswith("list:"):
        offsets, inner = array.offsets, numbers(kind[5:], array.values)
        return pa.ListArray.from_arrays(offsets, inner, mask=array.is_null()) if inner is not array.values else array
    to = {"date": pa.int32(), "time": pa.int64(), "ts": pa.int64()}.get(kind)
    return array if to is None else array.cast(to)


def from_pandas(name):
    column = pandas.read_parquet(file, columns=[name], dtype_backend="pyarrow")[name]
    array = column.array._pa_array.combine_chunks()
    return numbers(kinds[name], array).to_pylist()


def from_polars(name):
    column = polars.read_parquet(file, columns=[name])[name]
    kind, depth = kinds[name], kinds[name].count("list:")
    inner = kind.removeprefix("list:" * depth)
    to = {"date": polars.Int32, "ts": polars.Int64}.get(inner)
    if inner == "time":
        # Polars keeps nanoseconds.
        return [None if n is None else n // 1000 for n in column.cast(polars.Int64).to_list()]
    if to is not None:
        for _ in range(depth):
            to = polars.List(to)
        column = column.cast(to)
    return [v.to_list() if isinstance(v, polars.Series) else v for v in column.to_list()]


def from_duckdb(name):
    kind, quoted = kinds[name], '"' + name.replace('"', '""') + '"'
    ends = {"date": 2**31 - 1, "ts": 2**63 - 1}

    def number(kind, value):
        finite = {"date": f"date_diff('day', date '1970-01-01', {value})", "ts": f"epoch_us({value})", "time": f"epoch_us({value})"}[kind]
        if kind == "time":
            return finite
        return f"case when {value} is null then null when not isinf({value}) then {finite} when {value} > date '1970-01-01' then {ends[kind]} else -{ends[kind]} end"

    inner = kind.rpartition("list:")[2]
    select = quoted
    if inner in ("date", "ts", "time"):
        select = number(inner, quoted) if inner == kind else f"list_transform({quoted}, lambda v: {number(inner, 'v')})"
    return [row[0] for row in duckdb.sql(f"select {select} from '{file}'").fetchall()]


wrong = []
for reader in (from_pandas, from_polars, from_duckdb):
    for name, kind in kinds.items():
        want = [row[name] for row in rows]
        got = [canonical(kind, value) for value in reader(name)]
        wrong += [f"{reader.__name__} {name} row {i}: {g!r} instead of {w!r}" for i, (g, w) in enumerate(zip(got, want, strict=True)) if g != w]
print("\n".join(wrong) or f"{len(kinds)} columns of {len(rows)} rows are equal in pandas, polars and DuckDB")
sys.exit(bool(wrong))
