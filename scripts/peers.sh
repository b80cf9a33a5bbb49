#!/usr/bin/env bash
# peers.sh FOLDER: Alembic, dbmate and sqlx-cli, whose real histories `mlops migrate import` is tested with; DVC, which goes
# on with what `mlops data` wrote, and an S3 for both; pandas, polars and DuckDB, which read it.
# MLflow 3 and 2, which follow the registry.
# They are at mlflow/bin/mlflow, mlflow2/bin/mlflow, alembic/bin/alembic, dbmate/node_modules/.bin/dbmate, sqlx/bin/sqlx, dvc/bin/dvc and readers/bin/python of the
# folder.
set -euo pipefail
tools=${1:?folder}
"$(dirname "$0")/need.sh" python node
mkdir -p "$tools"
# Out of the repository: its toolchain and its cargo settings are not for sqlx-cli.
cd "$tools"
tools=$PWD

peer() { # name, what is said of it, the function that fills the folder: a folder that is complete or absent
  [ -e "$tools/$1/.complete" ] && return 0
  rm -rf "${tools:?}/$1"
  mkdir -p "$tools/$1"
  echo "installing $2" >&2
  "$3" >&2
  touch "$tools/$1/.complete"
}
alembic() {
  python3 -m venv alembic
  alembic/bin/pip install -q --disable-pip-version-check --no-input \
    alembic==1.20.1 'psycopg[binary]==3.3.9' sqlalchemy==2.1.9
}
dbmate() {
  printf '{"name": "dbmate-peer", "private": true}\n' >dbmate/package.json
  npm install --prefix dbmate --no-audit --no-fund --loglevel=error dbmate@2.36.0
}
sqlx() {
  # Postgres without TLS, not optimised and without debug information: the build is the slow part.
  CARGO_PROFILE_DEV_DEBUG=0 cargo install sqlx-cli@0.9.0 --locked --quiet --debug --no-default-features \
    --features postgres --bin sqlx --root sqlx --target-dir sqlx/target
  rm -rf sqlx/target
}
dvc() {
  python3 -m venv dvc
  dvc/bin/pip install -q --disable-pip-version-check --no-input dvc==3.67.1 dvc-s3==3.3.0 s3fs==2026.9.0 aiobotocore==3.10.0 boto3==1.43.117 'moto[server]==5.2.5'
}
readers() {
  python3 -m venv readers
  readers/bin/pip install -q --disable-pip-version-check --no-input pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 duckdb==1.5.5
}
mlflow() {
  python3 -m venv mlflow
  mlflow/bin/pip install -q --disable-pip-version-check --no-input mlflow==3.17.2 onnx==1.23.2 onnxruntime==1.32.0 scikit-learn==1.9.1
}
mlflow2() {
  python3 -m venv mlflow2
  mlflow2/bin/pip install -q --disable-pip-version-check --no-input mlflow==2.22.5 sqlalchemy==2.0.58 onnx==1.23.2 onnxruntime==1.32.0 scikit-learn==1.9.1 'setuptools<81'
}
peer alembic 'Alembic' alembic
peer dbmate 'dbmate' dbmate
peer sqlx 'sqlx-cli, which takes some minutes to build' sqlx
peer dvc 'DVC' dvc
peer readers 'pandas, polars and DuckDB' readers
peer mlflow 'MLflow' mlflow
peer mlflow2 'MLflow 2' mlflow2
