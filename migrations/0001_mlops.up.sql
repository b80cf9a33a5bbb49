-- The tool's own tables: what was seeded, and which model versions exist with the data, schema and code behind them.

create table mlops.seed (
  target     text primary key,
  digest     text   not null check (digest ~ '^[0-9a-f]{64}$'),
  relation   oid,
  rows       bigint not null check (rows >= 0),
  loaded_at  timestamptz not null default now(),
  loaded_by  text   not null default session_user
);

create table mlops.model (
  id           bigint generated always as identity primary key,
  name         text not null unique check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
  next_version int  not null default 1,
  created_at   timestamptz not null default now(),
  created_by   text not null default session_user
);

create table mlops.model_version (
  id              bigint generated always as identity primary key,
  model_id        bigint not null references mlops.model,
  version         int    not null check (version > 0),
  label           text   not null,
  description     text,
  artifact_path   text   not null,
  artifact_sha256 text   not null check (artifact_sha256 ~ '^[0-9a-f]{64}$'),
  artifact_bytes  bigint not null check (artifact_bytes >= 0),
  datasets        jsonb  not null,             -- name -> sha256 of the exact rows
  schema_revision text,                        -- the last migration under which the data was read
  git_sha         text,
  ci_run_url      text,
  metrics         jsonb  not null,
  gates           jsonb  not null,             -- every gate with what it expected and found
  idempotency_key text   not null,
  created_at      timestamptz not null default now(),
  created_by      text   not null default session_user,
  unique (model_id, version),
  unique (model_id, idempotency_key)
);

create function mlops.refuse() returns trigger language plpgsql as $$
begin
  raise exception '% on %.% is not allowed: rows are append-only', tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end $$;

create trigger frozen before update or delete on mlops.model_version
  for each row execute function mlops.refuse();
create trigger frozen_truncate before truncate on mlops.model_version
  for each statement execute function mlops.refuse();
