set client_min_messages = warning;
create schema if not exists mlops;
create table if not exists mlops.migration (
  source     text not null,
  version    text not null,
  name       text not null,
  checksum   text not null,
  applied_at timestamptz not null default now(),
  applied_by text not null default session_user,
  elapsed_ms double precision not null default extract(epoch from clock_timestamp() - now()) * 1000,
  primary key (source, version)
);
alter table mlops.migration
  add column if not exists meaning       text,     -- a digest blind to layout and comments
  add column if not exists reason        text,     -- why it may lose data, in its author's words
  add column if not exists statements    int,      -- outside a transaction: how many there are,
  add column if not exists started       int,      -- the last one that was begun,
  add column if not exists reached       int,      -- and the last one that is done
  add column if not exists undoing       boolean not null default false,
  add column if not exists adopted_from  text,
  add column if not exists schema_digest text,
  add column if not exists run           text;     -- the CI run, else who at which machine
create table if not exists mlops.migration_event ( -- what is no longer, or never was, a row above
  seq     bigint generated always as identity primary key,
  at      timestamptz not null default clock_timestamp(),
  by      text  not null default session_user,
  run     text,
  verb    text  not null,
  source  text  not null,
  version text  not null,
  detail  jsonb not null
);
create table if not exists mlops.schema_state ( -- the schema as the last migration left it
  singleton   boolean primary key default true check (singleton),
  version     text,
  digest      text not null,
  lines       text not null,
  recorded_at timestamptz not null default clock_timestamp(),
  recorded_by text not null default session_user
);
reset client_min_messages
