-- What a check measured, run after run: the history that an anomaly is judged by.

create table mlops.measure (
  id          bigint generated always as identity primary key,
  project     text not null,
  check_path  text not null,
  value       double precision not null,
  run         text,
  git_sha     text,
  measured_at timestamptz not null default now()
);

create index measure_latest on mlops.measure (project, check_path, id desc);
