//! squawk's linter behind one function: it promises no stable interface, so nothing else names it.

use std::str::FromStr as _;

use serde::Serialize;
use squawk_lexer::{TokenKind, tokenize};
use squawk_linter::{Linter, LinterSettings, Rule, Version};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::AstNode as _;

use super::remedies::remedy;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Rows or columns are gone for good.
    Destructive,
    /// Readers or writers wait.
    Locking,
    /// What runs today stops working.
    Compatibility,
    /// It cannot run the way it is meant to.
    Transaction,
    /// A dataset or a registered model reads it.
    Contract,
    /// The way back is missing or not exact.
    Undo,
    /// It could be said better.
    Style,
}

impl Class {
    pub const ALL: [Self; 7] = [Self::Destructive, Self::Locking, Self::Compatibility, Self::Transaction, Self::Contract, Self::Undo, Self::Style];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Destructive => "destructive",
            Self::Locking => "locking",
            Self::Compatibility => "compatibility",
            Self::Transaction => "transaction",
            Self::Contract => "contract",
            Self::Undo => "undo",
            Self::Style => "style",
        }
    }
}

pub(super) struct Violation {
    pub(super) rule: String,
    pub(super) class: Class,
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
}

/// Rules that are of no use here: the engine sets both timeouts itself.
const OFF: [Rule; 3] = [Rule::RequireLockTimeout, Rule::RequireStatementTimeout, Rule::RequireTimeoutSettings];

/// Our own rules.
pub(super) const OWN: [(&str, Class); 5] = [
    ("syntax-error", Class::Transaction),
    ("delete-all-rows", Class::Destructive),
    ("missing-down", Class::Undo),
    ("inexact-down", Class::Undo),
    ("used-column", Class::Contract),
];

/// Whether a rule is about something that is no table and has no size.
pub(super) fn is_about_another_object(rule: &str) -> bool {
    let objects = ["domain", "function", "view", "type", "schema", "sequence", "extension", "database", "object", "policy", "role", "system"];
    let about_tables = ["changing-column-type", "ban-set-schema"];
    !about_tables.contains(&rule) && rule.split('-').any(|word| objects.contains(&word))
}

/// Every rule and class that a policy may name.
pub fn rule_names() -> Vec<String> {
    let squawk = enum_iterator::all::<Rule>().filter(|rule| !OFF.contains(rule)).map(|rule| rule.to_string());
    let own = OWN.iter().map(|(name, _)| (*name).to_owned());
    squawk.chain(own).chain(Class::ALL.map(|class| class.word().to_owned())).collect()
}

fn class(rule: Rule) -> Class {
    use Rule as R;
    match rule {
        R::BanDropColumn | R::BanDropTable | R::BanDropDatabase | R::BanDropSchema | R::BanTruncateCascade | R::BanDropGeneratedExpression => {
            Class::Destructive
        }
        R::RequireConcurrentIndexCreation
        | R::RequireConcurrentIndexDeletion
        | R::RequireConcurrentPartitionDetach
        | R::RequireConcurrentReindex
        | R::ConstraintMissingNotValid
        | R::AddingFieldWithDefault
        | R::AddingForeignKeyConstraint
        | R::ChangingColumnType
        | R::AddingNotNullableField
        | R::AddingSerialPrimaryKeyField
        | R::AddingRequiredField
        | R::DisallowedUniqueConstraint
        | R::PreferRepack
        | R::BanCreateDomainWithConstraint
        | R::BanAlterDomainWithAddConstraint => Class::Locking,
        R::TransactionNesting
        | R::BanConcurrentIndexCreationInTransaction
        | R::BanUncommittedTransaction
        | R::BanDuplicateColumnAssignments
        | R::IdentifierTooLong => Class::Transaction,
        R::PreferBigintOverInt
        | R::PreferBigintOverSmallint
        | R::PreferIdentity
        | R::PreferRobustStmts
        | R::PreferTextField
        | R::PreferTimestampTz
        | R::BanCharField
        | R::RequireEnumValueOrdering
        | R::RequireTableSchema
        | R::UnusedIgnore => Class::Style,
        _ => Class::Compatibility,
    }
}

/// `wanted`: rules that are off unless somebody asks for them by name.
pub(super) fn run(text: &str, server_version: Option<&str>, in_transaction: bool, wanted: &[String]) -> Vec<Violation> {
    let parsed = SourceFile::parse(text);
    let include: Vec<Rule> = wanted.iter().filter_map(|word| Rule::from_str(word).ok()).collect();
    // A linter keeps its findings: each script gets its own.
    let mut linter = Linter::with_rules(&include, &OFF);
    // `19beta1` has the rules of 19.
    let number = |v: &str| v.split(|c: char| !c.is_ascii_digit() && c != '.').next().and_then(|v| Version::from_str(v).ok());
    let pg_version = server_version.and_then(number).unwrap_or_default();
    linter.settings = LinterSettings { pg_version, assume_in_transaction: in_transaction };
    let found = linter.lint(&parsed, text).into_iter().map(|v| {
        let fix = v.fix.map(|fix| fix.title);
        let (rule, class) = (v.code.to_string(), class(v.code));
        let remedy = Some(remedy(&rule, class, v.help, fix));
        Violation { rule, class, at: u32::from(v.text_range.start()) as usize, message: v.message, remedy }
    });
    let syntax = parsed.errors().into_iter().map(|e| Violation {
        rule: "syntax-error".into(),
        class: Class::Transaction,
        at: u32::from(e.range().start()) as usize,
        message: e.message().to_owned(),
        remedy: Some("correct the statement; if the server takes it as it is, put `-- squawk-ignore-file` into the file".into()),
    });
    let ignored = text.contains("squawk-ignore-file");
    let mut all: Vec<Violation> = found.chain(syntax.filter(|_| !ignored)).collect();
    all.sort_by_key(|v| v.at);
    all
}

/// The statement that a place belongs to.
pub(super) fn statement_at(text: &str, at: usize) -> Option<String> {
    let parsed = SourceFile::parse(text);
    parsed.tree().stmts().map(|s| s.syntax().text_range()).filter(|range| u32::from(range.start()) as usize <= at).last().map(|range| {
        let end = (u32::from(range.end()) as usize).max(at);
        text[u32::from(range.start()) as usize..end.min(text.len())].to_owned()
    })
}

/// Every name in a statement, `a` or `s.a`, as the catalog spells it.
pub(super) fn names(statement: &str) -> Vec<String> {
    let (mut found, mut current, mut dot, mut at): (Vec<String>, String, bool, usize) = (Vec::new(), String::new(), false, 0);
    for token in tokenize(statement) {
        let text = &statement[at..at + token.len as usize];
        at += token.len as usize;
        match token.kind {
            TokenKind::Ident | TokenKind::QuotedIdent { .. } => {
                let name = plain(text);
                if dot {
                    current = format!("{current}.{name}");
                } else {
                    found.extend(Some(std::mem::replace(&mut current, name)).filter(|n| !n.is_empty()));
                }
                dot = false;
            }
            TokenKind::Dot => dot = true,
            _ => {
                dot = false;
                found.extend(Some(std::mem::take(&mut current)).filter(|n| !n.is_empty()));
            }
        }
    }
    found.extend(Some(current).filter(|n| !n.is_empty()));
    found
}

/// `"Name"` → `Name`, `Name` → `name`.
pub(in crate::migrate) fn plain(name: &str) -> String {
    match name.trim().strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.trim().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_newer_servers_wait_for_one() {
        let found = |version: &str| run("cluster t;", Some(version), true, &[]).into_iter().map(|v| v.rule).collect::<Vec<_>>();
        assert!(found("19beta1").contains(&"prefer-repack".into()) && found("19.1").contains(&"prefer-repack".into()));
        assert!(!found("15.18").contains(&"prefer-repack".into()));
    }

    #[test]
    fn rules_about_tables_are_told_from_the_others() {
        let others = ["ban-drop-function", "ban-create-domain-with-constraint", "renaming-object", "ban-drop-schema"];
        assert!(others.iter().all(|rule| is_about_another_object(rule)));
        let tables = ["ban-drop-column", "changing-column-type", "renaming-table", "ban-set-schema", "require-concurrent-index-creation"];
        assert!(!tables.iter().any(|rule| is_about_another_object(rule)));
    }
}
