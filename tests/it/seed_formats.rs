use std::io::Write as _;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int64Array, ListArray, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampNanosecondArray, UInt32Array,
};
use parquet::arrow::ArrowWriter;

use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project};
use crate::support::server::Db;

fn project(seed: &str) -> Project {
    let yaml = format!("version: 1\nproject: p\ndatabase: {{url: \"${{DATABASE_URL}}\"}}\nseed:\n{seed}");
    project::with(&[("mlops.yml", &yaml)])
}

fn seed(project: &Project, db: &Db) -> Ended {
    Mlops::new(project.path()).args(["seed"]).env("DATABASE_URL", &db.url()).run()
}

/// Every type with a binary form of its own, and what stands at the edges of each.
const TYPES: &str = "create type mood as enum ('sad', 'it''s fine'); create domain positive as int check (value > 0);
  create table kinds (id int primary key, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, n numeric, n2 numeric(10,2),
    t text, v varchar(20), c char(5), j json, jb jsonb, by bytea, d date, ti time, ts timestamp, tz timestamptz, u uuid, m mood, p positive)";
const EDGES: &str = "insert into kinds values
  (1, true, -32768, -2147483648, -9223372036854775808, '1e-30', '1.7976931348623157e308', '-123456789012345678901234567890.000100', 99999999.99,
   e'tab\\tquote\" line\\nend\\\\', 'ä€𝄞', 'ab', '{\"a\": [1, null]}', '{\"b\": 2}', '\\x00ff', '0001-01-01', '23:59:59.999999', '9999-12-31 23:59:59.999999',
   '2024-03-31 01:30:00+02', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'it''s fine', 1),
  (2, false, 32767, 2147483647, 9223372036854775807, 'NaN', '-0.0', 0.00001, -0.01, '', ' blank ', '', '1', '\"\"', '\\x', '1999-12-31', '00:00', '1999-12-31',
   '1970-01-01 00:00:00Z', '00000000-0000-0000-0000-000000000000', 'sad', 2147483647),
  (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)";
const DIGEST: &str = "select count(*), sum(hashtextextended(kinds::text, 0)::numeric) from kinds";

#[test]
fn what_is_sent_in_the_binary_format_is_what_the_server_would_have_read() {
    let db = Db::new();
    db.sql(TYPES);
    db.sql(EDGES);
    // psql writes timestamps in its own zone and to all places.
    let csv = db.sql("copy kinds to stdout (format csv, header)");
    let expected = db.sql(DIGEST);
    let project = project("  - {table: kinds, file: kinds.csv}\n");
    project.write("kinds.csv", &csv);
    seed(&project, &db).expect(0).says("3 rows from kinds.csv");
    assert_eq!(db.sql(DIGEST), expected);
    assert_eq!(db.sql("select t, c, v, n from kinds where id = 1"), "tab\tquote\" line\nend\\|ab   |ä€𝄞|-123456789012345678901234567890.000100");
    assert_eq!(db.sql("select t is null, b is null from kinds where id = 2"), "f|f");
}

#[test]
fn what_only_the_server_can_read_is_read_by_the_server() {
    let db = Db::new();
    db.sql("create table odd (i int, f float8, d date, tz timestamptz, n numeric, a int[], net inet, iv interval)");
    let project = project("  - {table: odd, file: odd.csv}\n");
    project.write(
        "odd.csv",
        "i,f,d,tz,n,a,net,iv\n 1 ,Infinity,Jan 5 2013,2013-01-05 10:00 Europe/Berlin,1e3,\"{1,2}\",10.0.0.0/8,1 day\n2,1,infinity,2013-01-05T10:00Z,NaN,{},::1,00:01\n",
    );
    seed(&project, &db).expect(0);
    assert_eq!(
        db.sql("select i, f, d, tz at time zone 'UTC', n, a, net, iv from odd order by i limit 1"),
        "1|Infinity|2013-01-05|2013-01-05 09:00:00|1000|{1,2}|10.0.0.0/8|1 day"
    );
    // One odd value sends the whole file as text; the others mean the same either way.
    assert_eq!(db.sql("select d, n from odd where i = 2"), "infinity|NaN");
}

#[test]
fn csv_as_others_write_it() {
    let db = Db::new();
    db.sql("create table t (id int, name text, note text)");
    let project = project(
        "  - {table: t, file: a.csv, delimiter: ';', quote: \"'\", nulls: [NA, '-'], rename: {Nr: id, Name: name}, skip: [junk]}\n\
         \x20 - {table: t, file: b.tsv, mode: append, header: [id, name], quote: none}\n\
         \x20 - {table: t, file: c.csv.gz, mode: append}\n  - {table: t, file: d.csv.zst, mode: append}\n",
    );
    project.write("a.csv", "Nr;junk;Name;note\r\n1;x;'a;b';NA\r\n2;y;-;'NA'\r\n");
    project.write("b.tsv", "3\t\"three\"\n");
    let plain = b"id,name\n4,\"four\"\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(plain).expect("gz");
    std::fs::write(project.path().join("c.csv.gz"), gz.finish().expect("gz")).expect("write");
    std::fs::write(project.path().join("d.csv.zst"), zstd::encode_all(&plain[..], 0).expect("zst")).expect("write");
    seed(&project, &db).expect(0);
    assert_eq!(
        db.sql("select string_agg(concat_ws('/', id, coalesce(name, 'NULL'), coalesce(note, 'NULL')), ' ' order by id, name) from t"),
        "1/a;b/NULL 2/NULL/NA 3/\"three\"/NULL 4/four/NULL 4/four/NULL"
    );
    seed(&project, &db).expect(0).says("unchanged: nothing to load");
    // Other settings make other rows of the same bytes.
    project.replace("mlops.yml", "nulls: [NA, '-']", "nulls: [NA]");
    seed(&project, &db).expect(0).says("2 rows from a.csv").says("1 row from c.csv.gz");
    assert_eq!(db.sql("select name, (select count(*) from t) from t where id = 2"), "-|5");
}

#[test]
fn ndjson_keeps_digits_and_fills_arrays() {
    let db = Db::new();
    db.sql("create table t (id int, n numeric, name text, tags text[], doc jsonb, extra text default 'd')");
    let project = project("  - {table: t, file: a.ndjson}\n");
    project.write(
        "a.ndjson",
        "{\"id\": 1, \"n\": 1234567890123456789.123456789, \"name\": \"a\\u00e9\\n\"}\n\n{\"tags\": [\"x\", null, \"y\\\"z\"], \"doc\": {\"a\": [1]}, \"id\": 2, \"n\": null}\n",
    );
    seed(&project, &db).expect(0).says("2 rows from a.ndjson");
    assert_eq!(db.sql("select n, name, extra from t where id = 1"), "1234567890123456789.123456789|aé\n|d");
    assert_eq!(db.sql("select n is null, tags, tags[3], doc from t where id = 2"), "t|{x,NULL,\"y\\\"z\"}|y\"z|{\"a\": [1]}");
    db.sql("create table l (n numeric[], t text[])");
    let lists = self::project("  - {table: l, file: l.ndjson}\n");
    lists.write("l.ndjson", "{\"n\": [1.10, 12345678901234567890123], \"t\": [[\"x\", \"y\"], [\"z\", null]]}\n");
    seed(&lists, &db).expect(0);
    assert_eq!(db.sql("select n, t from l"), "{1.10,12345678901234567890123}|{{x,y},{z,NULL}}");
    project.write("a.ndjson", "{\"id\": 1}\n[2]\n");
    seed(&project, &db).expect(1).says("a.ndjson:2: it is no JSON object");
}

#[test]
fn parquet_of_every_kind() {
    let db = Db::new();
    db.sql("create table t (id bigint, small smallint, big bigint, money numeric(12,4), day date, at timestamptz, clock time, word text, raw bytea, u uuid, list int[], ok text)");
    let uuid: Vec<u8> = (0..16).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("small", Arc::new(Int8Array::from(vec![Some(-8), None]))),
        ("big", Arc::new(UInt32Array::from(vec![u32::MAX, 0]))),
        ("money", Arc::new(Decimal128Array::from(vec![Some(-12_345_678), None]).with_precision_and_scale(12, 4).expect("decimal"))),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), None]))),
        ("at", Arc::new(TimestampNanosecondArray::from(vec![Some(1_700_000_000_123_456_000), None]).with_timezone("Europe/Berlin"))),
        ("clock", Arc::new(Time64MicrosecondArray::from(vec![Some(3_600_000_001), None]))),
        ("word", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("häuser"), None]))),
        ("raw", Arc::new(arrow_array::BinaryArray::from_opt_vec(vec![Some(&b"\x00\xff"[..]), None]))),
        ("u", Arc::new(FixedSizeBinaryArray::try_from_iter([uuid.clone(), uuid].into_iter()).expect("uuid"))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None, Some(3)]), None]))),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), None]))),
    ];
    let project = project("  - {table: t, file: a.parquet}\n");
    let write = |columns: &[(&str, ArrayRef)]| {
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).expect("batch");
        let file = std::fs::File::create(project.path().join("a.parquet")).expect("file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("writer");
        writer.write(&batch).expect("rows");
        writer.close().expect("close");
    };
    write(&columns);
    seed(&project, &db).expect(0).says("2 rows from a.parquet");
    let expected =
        "-8|4294967295|-1234.5678|1969-12-31|1700000000.123456|01:00:00.000001|häuser|\\x00ff|00010203-0405-0607-0809-0a0b0c0d0e0f|{1,NULL,3}|true";
    assert_eq!(db.sql("select small, big, money, day, extract(epoch from at), clock, word, raw, u, list, ok from t where id = 1"), expected);
    // Without the array the same goes in the binary format.
    write(&columns.iter().filter(|(name, _)| *name != "list").cloned().collect::<Vec<_>>());
    seed(&project, &db).expect(0);
    assert_eq!(db.sql("select small, big, money, day, extract(epoch from at), clock, word, raw, u, '{1,NULL,3}', ok from t where id = 1"), expected);
    assert_eq!(db.sql("select num_nulls(small, money, day, at, clock, word, raw, ok) from t where id = 2"), "8");
    write(&[("id", Arc::new(StringArray::from(vec!["x"])))]);
    seed(&project, &db).expect(1).says("a.parquet, row 1: column id = 'x': invalid input syntax for type bigint");
}

#[test]
fn files_that_are_no_such_files_are_named() {
    let db = Db::new();
    db.sql("create table t (id int)");
    for (file, content, said) in [
        ("a.parquet", "not parquet", "a.parquet: it cannot be read as Parquet"),
        ("a.csv", "", "a.csv: it is empty; the first line names the columns"),
        ("a.csv", "id,id\n1,2\n", "a.csv: the column `id` is there twice"),
        ("a.ndjson", "\n", "a.ndjson: there is no line with a JSON object in it"),
        ("a.csv.gz", "no gz", "a.csv.gz: "),
    ] {
        let project = project(&format!("  - {{table: t, file: {file}}}\n"));
        project.write(file, content);
        let ended = seed(&project, &db).says(said);
        assert!([1, 3].contains(&ended.code), "{file}: {ended:?}");
        assert_eq!(db.sql("select count(*) from t"), "0");
    }
    let wrong = |entry: &str, said: &str| {
        let ended = seed(&project(&format!("  - {entry}\n")), &db).expect(2);
        ended.says(said);
    };
    wrong("{table: t, file: a.txt}", "seeds end in .csv, .tsv, .ndjson");
    wrong("{table: t, file: a.parquet, delimiter: ';'}", "`delimiter` is for CSV files");
    wrong("{table: t, file: a.csv, delimiter: ';;'}", "`delimiter` is one character");
    wrong("{table: t, file: a.csv, key: [id]}", "`key` goes with `mode: upsert`");
    wrong("{table: t, file: a.csv, mode: append, connections: 2}", "`connections` goes with");
    wrong("{table: t, rows: 10}", "`rows` and `columns` together");
    wrong("{table: t, rows: 10, columns: {id: {sequense: 1}}}", "did you mean `sequence`");
    wrong("{table: t, rows: 10, columns: {id: {}}}", "column `id`: it says nothing about its values");
}
