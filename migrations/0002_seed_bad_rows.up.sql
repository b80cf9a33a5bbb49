-- A load that left bad rows out is remembered as one: the next run says so again, or loads again.

alter table mlops.seed add column bad_rows bigint not null default 0 check (bad_rows >= 0);
