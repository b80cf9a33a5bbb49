-- The registry: what a version is and where it is kept, who may ship it, what stands where, and a history nobody can edit.

alter table mlops.model
  add column head text not null default '';    -- the digest of its last event

alter table mlops.model_version disable trigger frozen;
alter table mlops.model_version
  alter column artifact_sha256 drop not null,
  alter column artifact_bytes drop not null,
  alter column artifact_path drop not null,
  add column artifact_uri   text,              -- where it is kept; null: nowhere
  add column artifact_files jsonb,             -- of a folder: every file with its digest and size
  add column framework      text,
  add column signature      jsonb,
  add column params         jsonb not null default '{}',
  add column schema_digest  text,
  add column git_dirty      boolean,
  add column ci_attempt     int,
  add column database       text,              -- the server that the data came from, without a password
  add column gates_passed   boolean,           -- null: not, or not all of them, evaluated
  add column actor          text,              -- who, in the words of CI; created_by is the database's role
  add column adopted_from   text,
  add constraint model_version_artifact check (adopted_from is not null or (artifact_sha256 is not null and artifact_bytes is not null)),
  add constraint model_version_of_model unique (model_id, id);
update mlops.model_version set
  actor = created_by,
  gates_passed = case when jsonb_typeof(gates) <> 'array' or jsonb_array_length(gates) = 0 then null
                      else not exists (select from jsonb_array_elements(gates) g where g->>'status' not in ('passed', 'warned')) end;
alter table mlops.model_version enable trigger frozen;

create table mlops.version_dataset (           -- the exact rows that a version was made from
  version_id      bigint not null references mlops.model_version,
  name            text   not null,
  content         text   not null,             -- of rows and schema, in whatever order
  md5             text,                        -- of the file, as DVC has it
  rows            bigint,
  columns         jsonb,                       -- name, type, and the tables' columns that it is made of
  source          text,
  remote          text,
  schema_revision text,
  primary key (version_id, name)
);
create index version_dataset_md5 on mlops.version_dataset (md5);
create index version_dataset_content on mlops.version_dataset (content);
insert into mlops.version_dataset (version_id, name, content, schema_revision)
  select v.id, d.key, d.value, v.schema_revision from mlops.model_version v, jsonb_each_text(v.datasets) d;
alter table mlops.model_version drop column datasets;
create index model_version_git on mlops.model_version (git_sha);
create index model_version_label on mlops.model_version (model_id, label);

create table mlops.deployment (                -- what stands, and stood, in a stage
  id         bigint generated always as identity primary key,
  model_id   bigint not null,
  version_id bigint not null,
  stage      text   not null check (stage ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
  kind       text   not null check (kind in ('promote', 'rollback')),
  status     text   not null default 'active' check (status in ('active', 'superseded', 'rolled_back')),
  supersedes bigint references mlops.deployment,  -- what was active just before
  restores   bigint references mlops.deployment,  -- of a rollback: the earlier one that it puts back
  reason     text,
  actor      text   not null,
  ci_run_url text,
  git_sha    text,
  started_at timestamptz not null default clock_timestamp(),
  started_by text   not null default session_user,
  ended_at   timestamptz,
  foreign key (model_id, version_id) references mlops.model_version (model_id, id),
  check ((kind = 'rollback') = (restores is not null)),
  check ((status = 'active') = (ended_at is null))
);
create unique index deployment_one_active on mlops.deployment (model_id, stage) where status = 'active';
create index deployment_history on mlops.deployment (model_id, stage, id desc);
create index deployment_version on mlops.deployment (version_id);

create table mlops.verdict (                   -- what people said about a version, one stage at a time
  id         bigint generated always as identity primary key,
  model_id   bigint not null,
  version_id bigint not null,
  stage      text   not null,
  approved   boolean not null,
  reason     text,
  actor      text   not null,
  given_at   timestamptz not null default clock_timestamp(),
  given_by   text   not null default session_user,
  foreign key (model_id, version_id) references mlops.model_version (model_id, id)
);
create index verdict_version on mlops.verdict (version_id, stage, id);

create table mlops.mark (                      -- a version that must not, or should no longer, be used
  id         bigint generated always as identity primary key,
  model_id   bigint not null,
  version_id bigint not null,
  kind       text   not null check (kind in ('quarantined', 'deprecated')),
  reason     text   not null,
  actor      text   not null,
  set_at     timestamptz not null default clock_timestamp(),
  lifted_at  timestamptz,
  lifted_by  text,
  foreign key (model_id, version_id) references mlops.model_version (model_id, id),
  check ((lifted_at is null) = (lifted_by is null))
);
create unique index mark_standing on mlops.mark (version_id, kind) where lifted_at is null;

create table mlops.event (                     -- everything that happened to a model, each chained to the one before
  seq      bigint generated always as identity primary key,
  model_id bigint not null references mlops.model,
  at       timestamptz not null default clock_timestamp(),
  actor    text   not null,
  role     text   not null default session_user,
  kind     text   not null,
  payload  jsonb  not null,
  prev     text   not null,                    -- the digest of the model's event before; the first has none
  digest   text   not null,
  unique (model_id, prev)                      -- the chain cannot fork
);
create index event_model on mlops.event (model_id, seq desc);

create table mlops.outbox (                    -- what others still have to be told
  id         bigint generated always as identity primary key,
  model_id   bigint not null references mlops.model,
  target     text   not null check (target in ('mlflow')),
  kind       text   not null,
  payload    jsonb  not null,
  created_at timestamptz not null default clock_timestamp(),
  attempts   int    not null default 0,
  last_error text,
  failed_at  timestamptz,                      -- it was refused, and those behind it go on
  done_at    timestamptz
);
create index outbox_waiting on mlops.outbox (model_id, id) where done_at is null;

create table mlops.registry (                  -- which registry this is, to others that know several
  singleton boolean primary key default true check (singleton),
  id        uuid not null default gen_random_uuid()
);
insert into mlops.registry default values;

create table mlops.version_mlflow (            -- the same version, as MLflow calls it
  version_id     bigint primary key references mlops.model_version,
  mlflow_name    text not null,
  mlflow_version text not null,
  run_id         text not null,
  source         text not null,
  delivered_at   timestamptz not null default clock_timestamp()
);

-- Everything that makes a version what it is: an event holds this digest, so that an edited row is found.
create function mlops.version_digest(v mlops.model_version) returns text language sql stable as $$
  select encode(sha256(convert_to(jsonb_build_array(
    v.version, v.label, v.description, v.artifact_path, v.artifact_sha256, v.artifact_bytes, v.artifact_uri, v.artifact_files,
    v.framework, v.signature, v.params, v.schema_revision, v.schema_digest, v.git_sha, v.git_dirty, v.ci_run_url, v.ci_attempt,
    v.database, v.metrics, v.gates, v.gates_passed, v.idempotency_key, v.actor, v.created_by, v.adopted_from,
    to_char(v.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
    (select jsonb_agg(jsonb_build_array(d.name, d.content, d.md5, d.rows, d.columns, d.source, d.remote, d.schema_revision) order by d.name)
     from mlops.version_dataset d where d.version_id = v.id))::text, 'UTF8')), 'hex')
$$;

create function mlops.event_digest(e mlops.event) returns text language sql stable as $$
  select encode(sha256(convert_to(jsonb_build_array(
    e.prev, e.model_id, e.kind, e.actor, e.role, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.payload)::text, 'UTF8')), 'hex')
$$;

create function mlops.chain() returns trigger language plpgsql as $$
begin
  select head into strict new.prev from mlops.model where id = new.model_id for update;
  new.digest := mlops.event_digest(new);
  update mlops.model set head = new.digest where id = new.model_id;
  return new;
end $$;
create trigger chain before insert on mlops.event for each row execute function mlops.chain();

-- A deployment or a mark can only be closed, once.
create function mlops.close_only() returns trigger language plpgsql as $$
declare
  closed text[] := case tg_table_name when 'deployment' then '{status,ended_at}' else '{lifted_at,lifted_by}' end;
  standing boolean := case tg_table_name when 'deployment' then to_jsonb(old)->>'status' = 'active' else to_jsonb(old)->>'lifted_at' is null end;
begin
  if not standing or to_jsonb(old) - closed is distinct from to_jsonb(new) - closed then
    raise exception 'a row of %.% can only be closed, once', tg_table_schema, tg_table_name using errcode = 'restrict_violation';
  end if;
  return new;
end $$;

create trigger close_only before update on mlops.deployment for each row execute function mlops.close_only();
create trigger close_only before update on mlops.mark for each row execute function mlops.close_only();
create trigger kept before delete on mlops.deployment for each row execute function mlops.refuse();
create trigger kept before delete on mlops.mark for each row execute function mlops.refuse();
create trigger kept_truncate before truncate on mlops.deployment for each statement execute function mlops.refuse();
create trigger kept_truncate before truncate on mlops.mark for each statement execute function mlops.refuse();
create trigger frozen before update or delete on mlops.event for each row execute function mlops.refuse();
create trigger frozen_truncate before truncate on mlops.event for each statement execute function mlops.refuse();
create trigger frozen before update or delete on mlops.version_dataset for each row execute function mlops.refuse();
create trigger frozen_truncate before truncate on mlops.version_dataset for each statement execute function mlops.refuse();
create trigger frozen before update or delete on mlops.verdict for each row execute function mlops.refuse();
create trigger frozen_truncate before truncate on mlops.verdict for each statement execute function mlops.refuse();

-- Versions that were registered before there was a history begin theirs now.
insert into mlops.event (model_id, actor, kind, payload)
  select v.model_id, v.created_by, 'registered', jsonb_build_object('version', v.version, 'row', mlops.version_digest(v))
  from mlops.model_version v order by v.model_id, v.version;
