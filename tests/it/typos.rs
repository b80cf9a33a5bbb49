use crate::support::bin::Mlops;
use crate::support::project;
use crate::support::server::Db;

const TABLES: &str = "
    create table u (id int primary key); insert into u select generate_series(0, 10);
    create table t (id int primary key, a int, p double precision, c text, at timestamptz, split text, label boolean);
    insert into t select i, i % 5, i / 40.0, case when i % 2 = 0 then 'aa' else 'bb' end, timestamptz '2026-01-01 00:00:00Z' + i * interval '1 hour',
      case when i <= 28 then 'train' else 'test' end, i % 3 = 0 from generate_series(1, 40) i";

/// More than a hundred slips of the pen in a file that passes: none of them is green, and each is told.
#[test]
fn no_slip_of_the_pen_is_green() {
    let db = Db::new();
    db.sql(TABLES);
    let base = project::copy("fixtures/typos");
    let check = || Mlops::new(base.path()).args(["check"]).env("DATABASE_URL", &db.url()).run();
    check().expect(0);
    let (text, corpus) = (base.read("mlops.yml"), base.read("corpus.txt"));
    let (mut tried, mut wrong) = (0, Vec::new());
    for line in corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [find, replace, code, says] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}: four fields") };
        let (find, replace) = (find.replace("\\n", "\n"), replace.replace("\\n", "\n"));
        assert_eq!(text.matches(&find).count(), 1, "{line}: it must be there once");
        base.write("mlops.yml", &text.replacen(&find, &replace, 1));
        let ended = check();
        tried += 1;
        let told = ended.out.contains(says) || ended.err.contains(says);
        if ended.code.to_string() != code || !told {
            wrong.push(format!(
                "{line}\n  exit {}, {}\n{}",
                ended.code,
                if told { "told" } else { "not told" },
                ended.err.lines().take(6).collect::<Vec<_>>().join("\n")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried >= 100, "only {tried} were tried");
}
