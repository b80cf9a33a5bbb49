drop table mlops.model_version;
drop function mlops.refuse();
drop table mlops.model;
drop table mlops.seed;
