//! A script as Postgres reads it: its statements, its comments, and what it says regardless of how it is laid out.

use squawk_lexer::{TokenKind, tokenize};
use squawk_syntax::ast::AstNode as _;
use squawk_syntax::{Parse, SourceFile};

use crate::ports::files::sha256;

/// One part of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub file: String,
    /// The lines of the file before the text.
    pub line: usize,
    pub text: String,
    /// Whether it runs in a transaction of its own.
    pub transactional: bool,
    /// Why it may lose data, in its author's words.
    pub reason: Option<String>,
}

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    /// The lines of the file before it.
    pub line: usize,
}

const DIRECTIVE: &str = "mlops:";

impl Script {
    pub fn new(file: &str, line: usize, text: &str) -> Self {
        let mut script = Self { file: file.into(), line, text: text.into(), transactional: true, reason: None };
        for said in directives(text) {
            match said {
                Directive::NoTransaction => script.transactional = false,
                Directive::AllowDestructive(reason) => script.reason = Some(reason.to_owned()),
            }
        }
        script
    }

    /// Nothing but blanks and comments.
    pub fn is_empty(&self) -> bool {
        tokens(&self.text).all(|(kind, _)| kind == TokenKind::Semi)
    }

    /// A digest of its tokens: blind to layout, comments and the case of plain words.
    pub fn meaning(&self) -> String {
        let mut words = String::with_capacity(self.text.len());
        for (kind, text) in tokens(&self.text) {
            words.push(' ');
            if kind == TokenKind::Ident { words.push_str(&text.to_lowercase()) } else { words.push_str(text) }
        }
        sha256(words.as_bytes())
    }

    /// Nothing but definitions, told by each statement's first word: it can neither end the transaction around it nor
    /// leave anything in the session.
    pub fn only_defines(&self) -> bool {
        let mut first = true;
        !self.text.contains("set_config")
            && tokens(&self.text).all(|(kind, text)| {
                let word = text.to_ascii_lowercase();
                let defines = !std::mem::replace(&mut first, kind == TokenKind::Semi)
                    || kind == TokenKind::Semi
                    || ["create", "alter", "drop", "comment", "grant", "revoke"].contains(&word.as_str());
                // What is evaluated could do anything; an extension's script is somebody else's.
                defines && !(kind == TokenKind::Ident && ["select", "extension", "call"].contains(&word.as_str()))
            })
    }

    pub fn parse(&self) -> Parse<SourceFile> {
        SourceFile::parse(&self.text)
    }

    /// The statements, each of which runs by itself outside a transaction.
    pub fn statements(&self) -> Result<Vec<Statement>, String> {
        let parsed = self.parse();
        let starts: Vec<usize> = parsed.tree().stmts().map(|s| u32::from(s.syntax().text_range().start()) as usize).collect();
        let semicolons = tokens(self.text.trim_end().trim_end_matches(';')).filter(|(kind, _)| *kind == TokenKind::Semi).count();
        if semicolons == 0 {
            let line = self.line + line_of(&self.text, starts.first().copied().unwrap_or(0));
            return Ok(if self.is_empty() { vec![] } else { vec![Statement { text: self.text.trim().to_owned(), line }] });
        }
        if let Some(error) = parsed.errors().first() {
            let line = self.line + line_of(&self.text, u32::from(error.range().start()) as usize) + 1;
            return Err(format!(
                "{}:{line}: it cannot be cut into statements ({}); a file with one statement needs no cutting",
                self.file,
                error.message()
            ));
        }
        let ends = starts.iter().skip(1).copied().chain([self.text.len()]);
        let cut = |(start, end): (usize, usize)| Statement {
            text: without_trailing_comments(&self.text[start..end]),
            line: self.line + line_of(&self.text, start),
        };
        Ok(starts.iter().copied().zip(ends).map(cut).collect())
    }
}

/// Up to the last token that means something; the comment in front of the next statement belongs to that one.
fn without_trailing_comments(text: &str) -> String {
    let (mut at, mut end) = (0, 0);
    for token in tokenize(text) {
        at += token.len as usize;
        if !is_trivia(&token.kind) {
            end = at;
        }
    }
    text[..end].to_owned()
}

pub(super) enum Directive<'a> {
    NoTransaction,
    AllowDestructive(&'a str),
}

/// What the comments of a script ask for, in our words and in those of the tools whose folders are understood.
fn directives(text: &str) -> Vec<Directive<'_>> {
    if !text.contains("--") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = 0;
    for token in tokenize(text) {
        let comment = &text[at..at + token.len as usize];
        at += token.len as usize;
        let Some(said) = comment.strip_prefix("--").map(str::trim) else { continue };
        if said == "no-transaction" || said == "+goose NO TRANSACTION" {
            found.push(Directive::NoTransaction);
        }
        let Some(ours) = said.strip_prefix(DIRECTIVE).map(str::trim) else { continue };
        if ours == "no-transaction" {
            found.push(Directive::NoTransaction);
        } else if let Some(reason) = ours.strip_prefix("allow-destructive") {
            found.push(Directive::AllowDestructive(reason.trim_start_matches(':').trim()));
        }
    }
    found
}

/// Every `-- mlops:` comment that says nothing that is known, with its line (from 0).
pub(super) fn unknown_directives(text: &str) -> Vec<(usize, String)> {
    let known = |said: &str| said == "no-transaction" || said.split([' ', ':']).next() == Some("allow-destructive");
    let mut found = Vec::new();
    for (line, comment) in text.lines().enumerate() {
        let Some(said) = comment.trim().strip_prefix("--").and_then(|c| c.trim().strip_prefix(DIRECTIVE)).map(str::trim) else { continue };
        if !known(said) {
            found.push((line, format!("unknown directive `{said}`; known are `no-transaction` and `allow-destructive REASON`")));
        } else if said == "allow-destructive" {
            found.push((line, "`allow-destructive` needs its reason behind it".into()));
        }
    }
    found
}

fn is_trivia(kind: &TokenKind) -> bool {
    matches!(kind, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. })
}

fn tokens(text: &str) -> impl Iterator<Item = (TokenKind, &str)> {
    let mut at = 0;
    tokenize(text).filter_map(move |token| {
        let start = at;
        at += token.len as usize;
        (!is_trivia(&token.kind)).then(|| (token.kind, &text[start..at]))
    })
}

/// The line breaks before a byte.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    text[..byte.min(text.len())].matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        Script::new("x.sql", 0, text)
    }

    #[test]
    fn statements_are_cut_as_the_server_would() {
        let text = "-- first;\ncreate table a (t text default ';');\n\ncreate function f() returns int language plpgsql as $$ begin; return 1; end $$; -- tail\nvacuum a";
        let cut = script(text).statements().expect("statements");
        let lines: Vec<_> = cut.iter().map(|s| (s.line, s.text.split(' ').next().unwrap_or_default().to_owned())).collect();
        assert_eq!(lines, [(1, "create".into()), (3, "create".into()), (4, "vacuum".into())]);
        assert!(cut[1].text.ends_with("$$;"), "{}", cut[1].text);
    }

    #[test]
    fn meaning_is_blind_to_layout_and_comments_only() {
        let a = script("create table a (i int); -- note");
        assert_eq!(a.meaning(), script("CREATE  TABLE a\n(\n  i int\n);\n").meaning());
        assert_ne!(a.meaning(), script("create table \"A\" (i int);").meaning());
        assert_ne!(script("select 'x'").meaning(), script("select 'X'").meaning());
        assert_ne!(script("select 1").meaning(), script("select 11").meaning());
    }

    #[test]
    fn comments_can_ask_for_something_but_text_cannot() {
        assert!(!script("-- mlops: no-transaction\nvacuum").transactional);
        assert!(!script("-- no-transaction\nvacuum").transactional && !script("-- +goose NO TRANSACTION\nvacuum").transactional);
        assert!(script("select '-- mlops: no-transaction'").transactional);
        assert_eq!(script("-- mlops: allow-destructive moved to b\ndrop table a").reason.as_deref(), Some("moved to b"));
        assert_eq!(unknown_directives("-- mlops: no-transacton\nselect 1\n-- mlops: allow-destructive").len(), 2);
    }

    #[test]
    fn what_only_defines_is_told_from_what_could_do_anything() {
        for plain in
            ["create table a (i int); -- commit;\nalter table a add x text default ';commit';", "Drop Table a", ";comment on table a is 'set'"]
        {
            assert!(script(plain).only_defines(), "{plain}");
        }
        let others = [
            "create table a (i int); commit",
            "set role x",
            "create table a as select f()",
            "create function f() returns void begin atomic insert into a values (1); end",
            "alter table a alter i set default set_config('a', 'b', false)",
            "create extension x",
            "copy a from stdin",
        ];
        for other in others {
            assert!(!script(other).only_defines(), "{other}");
        }
    }

    #[test]
    fn comments_alone_are_nothing() {
        assert!(script("-- nothing\n/* here */ \n;").is_empty() && !script("select 1").is_empty());
        assert!(script("-- nothing").statements().expect("none").is_empty());
    }
}
