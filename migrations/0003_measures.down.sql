drop table mlops.measure;
