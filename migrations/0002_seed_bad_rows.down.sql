alter table mlops.seed drop column bad_rows;
