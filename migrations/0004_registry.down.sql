drop table mlops.registry, mlops.version_mlflow, mlops.outbox, mlops.mark, mlops.verdict, mlops.deployment;
drop trigger chain on mlops.event;
drop function mlops.close_only();
drop function mlops.chain();
drop function mlops.event_digest(mlops.event);
drop table mlops.event;
drop function mlops.version_digest(mlops.model_version);
alter table mlops.model_version disable trigger frozen;
alter table mlops.model_version add column datasets jsonb;
update mlops.model_version v set
  datasets = coalesce((select jsonb_object_agg(d.name, d.content) from mlops.version_dataset d where d.version_id = v.id), '{}'),
  -- An adopted version may have no artifact, which was not allowed then.
  artifact_path = coalesce(artifact_path, ''),
  artifact_sha256 = coalesce(artifact_sha256, repeat('0', 64)),
  artifact_bytes = coalesce(artifact_bytes, 0);
drop table mlops.version_dataset;
drop index mlops.model_version_git;
drop index mlops.model_version_label;
alter table mlops.model_version
  alter column datasets set not null,
  drop constraint model_version_of_model,
  drop constraint model_version_artifact,
  drop column artifact_uri, drop column artifact_files, drop column framework, drop column signature, drop column params,
  drop column schema_digest, drop column git_dirty, drop column ci_attempt, drop column database, drop column gates_passed,
  drop column actor, drop column adopted_from,
  alter column artifact_path set not null,
  alter column artifact_sha256 set not null,
  alter column artifact_bytes set not null;
alter table mlops.model_version enable trigger frozen;
alter table mlops.model drop column head;
