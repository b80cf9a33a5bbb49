//! What may not run in a transaction: statement by statement, with a note of how far it came.
//!
//! A statement that can share a transaction with its note does. For the few that cannot (`create index concurrently`,
//! `vacuum` …), the note says first that it was begun; a run that was killed in between finds out from the catalog
//! whether it took effect, and only where nothing can tell does it ask.

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode};
use tokio_postgres::types::Type;

use super::MigrateError;
use super::apply::{Session, may_pass};
use super::files::Migration;
use super::history::{Change, Steps};
use super::lint::plain;
use super::script::{Script, Statement};
use crate::names::literal;
use crate::ports::files::sha256;
use crate::ports::postgres::describe;

/// What is known of a statement that an earlier run may or may not have finished.
enum Found {
    Done,
    NotDone,
    /// It left something behind that has to go first.
    Rest(String),
    Unknown,
}

pub(super) async fn run(session: &Session<'_>, migration: &Migration, undoing: bool, from: Option<Steps>) -> Result<(), MigrateError> {
    let script = if undoing { migration.down.as_ref() } else { Some(&migration.up) };
    let Some(script) = script else { return Err(MigrateError::NoDown { file: migration.down_file.clone() }) };
    let statements = script.statements().map_err(MigrateError::Unsplittable)?;
    if let Some(s) = statements.iter().find(|s| is_transaction_word(s)) {
        let why = format!("{}:{}: leave out begin, commit and rollback: here each statement commits by itself", script.file, s.line + 1);
        return Err(MigrateError::Unsplittable(why));
    }
    let work = Work { session, migration, script, statements: &statements, undoing };
    let mut at = match from {
        Some(steps) => work.continue_from(steps).await?,
        None => {
            work.begin().await?;
            0
        }
    };
    while at < statements.len() {
        work.statement(at).await?;
        at += 1;
    }
    work.finish().await
}

struct Work<'a> {
    session: &'a Session<'a>,
    migration: &'a Migration,
    script: &'a Script,
    statements: &'a [Statement],
    undoing: bool,
}

impl Work<'_> {
    fn key(&self) -> String {
        format!("source = {} and version = {}", literal(self.session.source.word()), literal(self.migration.version.as_str()))
    }

    /// A digest of the statements that may not change any more.
    fn fixed(&self, up_to: usize) -> String {
        sha256(self.statements[..up_to.min(self.statements.len())].iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(";\n").as_bytes())
    }

    async fn note(&self, sql: &str) -> Result<(), MigrateError> {
        let doing = format!("noting how far {} has come", self.migration.id());
        self.session.client.batch_execute(sql).await.map_err(|e| self.session.server.error(&doing, &e).into())
    }

    async fn begin(&self) -> Result<(), MigrateError> {
        let n = self.statements.len();
        let sql = if self.undoing {
            format!("update mlops.migration set undoing = true, statements = {n}, started = 0, reached = 0, meaning = null where {}", self.key())
        } else {
            self.session.row(self.migration, None, Some(n)).insert()
        };
        self.note(&sql).await
    }

    /// The first statement that is still to be done.
    async fn continue_from(&self, steps: Steps) -> Result<usize, MigrateError> {
        let sql = format!("select meaning from mlops.migration where {}", self.key());
        let rows = self.session.client.query_typed(&sql, &[]).await.map_err(|e| self.session.server.error("reading how far it came", &e))?;
        let fixed: Option<String> = rows.first().and_then(|row| row.get(0));
        if steps.started > 0 && fixed.is_some_and(|f| f != self.fixed(steps.started)) || steps.started > self.statements.len() {
            let (version, file) = (self.migration.version.to_string(), self.script.file.clone());
            return Err(MigrateError::Changed { version, file, reached: steps.started });
        }
        let mut at = steps.reached;
        if let Some(statement) = self.statements.get(at) {
            match self.look(statement).await? {
                Found::Done if steps.started > at => at += 1,
                Found::Rest(cleanup) => {
                    tracing::warn!("{}:{}: an earlier attempt left an invalid index: {cleanup}", self.script.file, statement.line + 1);
                    self.note(&cleanup).await?;
                }
                Found::Unknown if steps.started > at => return Err(self.unknown(at)),
                Found::Done | Found::NotDone | Found::Unknown => {}
            }
        }
        let columns = if self.undoing { String::new() } else { format!(", checksum = {}", literal(&self.migration.checksum)) };
        let sql = format!(
            "update mlops.migration set statements = {}, started = {at}, reached = {at}, meaning = {}{columns} where {}",
            self.statements.len(),
            literal(&self.fixed(at)),
            self.key()
        );
        self.note(&sql).await?;
        Ok(at)
    }

    async fn statement(&self, at: usize) -> Result<(), MigrateError> {
        let statement = &self.statements[at];
        let (text, key, fixed) = (statement.text.trim_end_matches(';'), self.key(), literal(&self.fixed(at + 1)));
        let done = format!("update mlops.migration set started = {0}, reached = {0}, meaning = {fixed} where {key}", at + 1);
        let head = self.session.head(true);
        if !Nature::of(statement).alone {
            let sent = self.session.send(&self.migration.id(), self.script, &format!("{head}; {text}\n; reset role; {done}; commit")).await;
            return sent.map_err(|e| self.stopped(at, &e))?.map_or(Ok(()), Err);
        }
        // Waiting for old transactions is what concurrent work does; it holds nobody up.
        let started = format!("update mlops.migration set started = {}, meaning = {fixed} where {key}", at + 1);
        self.note(&format!("{}; set lock_timeout = 0; set statement_timeout = 0; {started}", self.session.head(false))).await?;
        let mut left = self.session.options.retries;
        while let Err(error) = self.session.client.batch_execute(text).await {
            let again = may_pass(&error) && left > 0;
            if !self.session.client.is_closed() {
                self.note("reset role; reset all").await?;
                if let Found::Rest(cleanup) = self.look(statement).await? {
                    // An invalid index answers no query and slows every write down.
                    self.note(&cleanup).await?;
                }
                if !again {
                    let back = format!("update mlops.migration set started = {at}, meaning = {} where {key}", literal(&self.fixed(at)));
                    self.note(&back).await?;
                }
            }
            if !again {
                return Err(self.stopped(at, &error));
            }
            left -= 1;
            tracing::warn!("{}: {}; trying again", self.migration.id(), describe(&error));
        }
        self.note(&format!("reset role; reset all; {done}")).await
    }

    async fn finish(&self) -> Result<(), MigrateError> {
        if self.undoing {
            let (source, run) = (self.session.source, self.session.options.run.as_deref());
            return self.note(&Change::Undone { source, version: self.migration.version.as_str(), run }.sql()).await;
        }
        let sql = format!(
            "update mlops.migration set meaning = {}, elapsed_ms = extract(epoch from clock_timestamp() - applied_at) * 1000 where {}",
            literal(&self.script.meaning()),
            self.key()
        );
        self.note(&sql).await
    }

    /// Asks the catalog what came of a statement.
    async fn look(&self, statement: &Statement) -> Result<Found, MigrateError> {
        let nature = Nature::of(statement);
        let Some((table, index)) = &nature.builds else {
            let gone = match &nature.drops {
                Some(index) => !self.exists(index).await?,
                None => return Ok(if nature.repeatable { Found::NotDone } else { Found::Unknown }),
            };
            return Ok(if gone { Found::Done } else { Found::NotDone });
        };
        let sql = "select i.indisvalid, c.oid::regclass::text from pg_class t join pg_class c on c.relnamespace = t.relnamespace \
                   join pg_index i on i.indexrelid = c.oid where t.oid = to_regclass($1) and c.relname = $2";
        let found = self.session.client.query_typed(sql, &[(table, Type::TEXT), (index, Type::TEXT)]).await;
        let found = found.map_err(|e| self.session.server.error("looking for an index", &e))?;
        Ok(match found.first().map(|row| (row.get::<_, bool>(0), row.get::<_, String>(1))) {
            None => Found::NotDone,
            Some((true, _)) => Found::Done,
            Some((false, name)) => Found::Rest(format!("drop index concurrently {name}")),
        })
    }

    async fn exists(&self, index: &str) -> Result<bool, MigrateError> {
        let found = self.session.client.query_typed("select to_regclass($1) is not null", &[(&index, Type::TEXT)]).await;
        Ok(found.map_err(|e| self.session.server.error("looking for an index", &e))?.first().is_some_and(|row| row.get(0)))
    }

    fn stopped(&self, at: usize, error: &tokio_postgres::Error) -> MigrateError {
        let wrapped = self.session.server.error(&format!("applying {}", self.migration.id()), error);
        if !wrapped.is_statement() {
            return wrapped.into();
        }
        let verb = if self.undoing { "down" } else { "up" };
        self.at(at, describe(error), format!("Mend it and run `mlops migrate {verb}` again: it goes on with this statement"))
    }

    fn unknown(&self, at: usize) -> MigrateError {
        let (version, n) = (&self.migration.version, at + 1);
        let why = "a run was cut off in the middle of this, and nothing tells whether it took effect".to_owned();
        let way_out =
            format!("Look; if it did: `mlops migrate repair {version} --done {n}`; if not: `mlops migrate repair {version} --redo {n}`; then go on");
        self.at(at, why, way_out)
    }

    fn at(&self, at: usize, why: String, way_out: String) -> MigrateError {
        MigrateError::Stopped {
            version: self.migration.id(),
            file: self.script.file.clone(),
            line: self.statements[at].line + 1,
            statement: at + 1,
            of: self.statements.len(),
            why,
            way_out,
        }
    }
}

/// What a statement is, as far as going on after it matters.
struct Nature {
    /// It cannot be in a transaction, not even one of its own.
    alone: bool,
    /// Doing it again does no harm.
    repeatable: bool,
    /// The table and the plain name of the index that it builds concurrently.
    builds: Option<(String, String)>,
    /// The index that it drops concurrently.
    drops: Option<String>,
}

impl Nature {
    fn of(statement: &Statement) -> Self {
        let mut nature = Self { alone: false, repeatable: false, builds: None, drops: None };
        let parsed = SourceFile::parse(&statement.text);
        let Some(stmt) = parsed.tree().stmts().next() else { return nature };
        let concurrently = words(stmt.syntax()).any(|w| w == "concurrently");
        match &stmt {
            ast::Stmt::CreateIndex(create) if concurrently => {
                nature.alone = true;
                let table = create.table_relation_name().map(|t| t.syntax().text().to_string());
                let index = create.index().map(|n| plain(&n.syntax().text().to_string()));
                nature.builds = table.zip(index);
            }
            ast::Stmt::DropIndex(drop) if concurrently => {
                nature.alone = true;
                nature.drops = drop.index_refs().next().map(|index| index.syntax().text().to_string());
            }
            ast::Stmt::AlterTable(_) if concurrently => nature.alone = true,
            ast::Stmt::Reindex(_) | ast::Stmt::Vacuum(_) | ast::Stmt::Checkpoint(_) | ast::Stmt::Cluster(_) | ast::Stmt::Discard(_) => {
                (nature.alone, nature.repeatable) = (true, true);
            }
            ast::Stmt::AlterSystem(_) => (nature.alone, nature.repeatable) = (true, true),
            ast::Stmt::CreateDatabase(_)
            | ast::Stmt::DropDatabase(_)
            | ast::Stmt::AlterDatabase(_)
            | ast::Stmt::CreateTablespace(_)
            | ast::Stmt::DropTablespace(_)
            | ast::Stmt::CreateSubscription(_)
            | ast::Stmt::AlterSubscription(_)
            | ast::Stmt::DropSubscription(_)
            | ast::Stmt::Call(_)
            | ast::Stmt::Do(_) => nature.alone = true,
            _ => {}
        }
        nature
    }
}

fn words(node: &squawk_syntax::SyntaxNode) -> impl Iterator<Item = String> {
    node.descendants_with_tokens().filter_map(|e| e.into_token()).map(|t| t.text().to_lowercase())
}

/// `begin`, `commit` and the like: no statement that starts with one of these does anything else.
fn is_transaction_word(statement: &Statement) -> bool {
    let first = statement.text.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty()).unwrap_or_default();
    ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"].contains(&first.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nature(text: &str) -> Nature {
        Nature::of(&Statement { text: text.into(), line: 0 })
    }

    #[test]
    fn a_statement_is_known_by_its_grammar() {
        let built = nature("create unique index concurrently if not exists \"Odd\"\n on s.\"T\" (a) where b;");
        assert_eq!(built.builds, Some(("s.\"T\"".into(), "Odd".into())));
        assert_eq!(nature("create index concurrently I on t (a)").builds, Some(("t".into(), "i".into())));
        assert!(nature("create index concurrently on t (a)").builds.is_none() && nature("create index concurrently on t (a)").alone);
        assert_eq!(nature("drop index concurrently if exists s.i").drops.as_deref(), Some("s.i"));
        assert!(!nature("create index i on t (a)").alone && !nature("update t set concurrently = 1").alone);
        assert!(nature("vacuum t").repeatable && nature("alter table t detach partition p concurrently").alone);
    }
}
