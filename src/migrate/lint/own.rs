//! Rules that squawk has not: all rows at once, and the way back.

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode};

use super::rules::{names, plain};
use super::{Class, Raw};
use crate::migrate::files::Migration;
use crate::migrate::script::Script;

/// Something that a script makes.
pub(super) struct Made {
    pub(super) kind: &'static str,
    /// As the catalog spells it, qualified where the script does so.
    pub(super) name: String,
    pub(super) at: usize,
}

fn text_of(node: Option<impl AstNode>) -> String {
    node.map(|n| n.syntax().text().to_string().trim().to_owned()).unwrap_or_default()
}

fn qualified(name: &str) -> String {
    name.split('.').map(plain).collect::<Vec<_>>().join(".")
}

/// Tables, columns, indexes and whatever else a script creates.
pub(super) fn made(script: &Script) -> Vec<Made> {
    let parsed = SourceFile::parse(&script.text);
    let mut found = Vec::new();
    for stmt in parsed.tree().stmts() {
        let at = u32::from(stmt.syntax().text_range().start()) as usize;
        let mut made = |kind: &'static str, name: String| {
            if !name.is_empty() {
                found.push(Made { kind, name: qualified(&name), at });
            }
        };
        // The word after `create … KIND [if not exists]` is the name, whatever the kind.
        let words: Vec<String> = stmt.syntax().text().to_string().split_whitespace().take(12).map(str::to_owned).collect();
        let lower: Vec<String> = words.iter().map(|w| w.to_lowercase()).collect();
        let after = |kind: &str| {
            let at = lower.iter().position(|w| w == kind)?;
            let skip = ["if", "not", "exists", "concurrently"];
            let name = lower.iter().zip(&words).skip(at + 1).find(|(w, _)| !skip.contains(&w.as_str()))?.1;
            Some(name.split('(').next().unwrap_or_default().trim_end_matches(';').to_owned())
        };
        match &stmt {
            ast::Stmt::CreateTable(_) | ast::Stmt::CreateTableAs(_) => made("table", after("table").unwrap_or_default()),
            ast::Stmt::CreateMaterializedView(_) => made("materialized view", after("view").unwrap_or_default()),
            ast::Stmt::CreateView(view) => made("view", text_of(view.view())),
            ast::Stmt::CreateIndex(index) => made("index", text_of(index.index())),
            ast::Stmt::CreateType(kind) => made("type", text_of(kind.type_name())),
            ast::Stmt::CreateFunction(function) => made("function", text_of(function.name())),
            ast::Stmt::CreateSchema(_) => made("schema", after("schema").unwrap_or_default()),
            ast::Stmt::CreateSequence(_) => made("sequence", after("sequence").unwrap_or_default()),
            ast::Stmt::CreateDomain(_) => made("domain", after("domain").unwrap_or_default()),
            ast::Stmt::CreateTrigger(_) => made("trigger", after("trigger").unwrap_or_default()),
            ast::Stmt::AlterTable(alter) => {
                for action in alter.actions() {
                    if let ast::AlterTableAction::AddColumn(add) = action {
                        made("column", text_of(add.column_name()));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// Every row of a table at once.
pub(super) fn destructive(script: &Script) -> Vec<Raw> {
    let parsed = SourceFile::parse(&script.text);
    let all_rows = |stmt: ast::Stmt| {
        let what = match &stmt {
            ast::Stmt::Truncate(_) => "truncate takes every row",
            ast::Stmt::Delete(delete) if delete.where_clause_or_current_of().is_none() && delete.using_clause().is_none() => {
                "delete without where takes every row"
            }
            _ => return None,
        };
        Some(Raw {
            rule: "delete-all-rows".into(),
            class: Class::Destructive,
            at: u32::from(stmt.syntax().text_range().start()) as usize,
            message: what.into(),
            remedy: Some("say why with `-- mlops: allow-destructive REASON`, or name the rows with where".into()),
        })
    };
    parsed.tree().stmts().filter_map(all_rows).collect()
}

/// What the down part forgets, as far as its text can tell; the round trip knows for certain.
pub(super) fn undo(migration: &Migration) -> Vec<Raw> {
    let raw = |rule: &str, at: usize, message: String, remedy: &str| Raw {
        rule: rule.into(),
        class: Class::Undo,
        at,
        message,
        remedy: Some(remedy.into()),
    };
    let Some(down) = &migration.down else {
        let message = format!("there is no way back: {} has no statement", migration.down_file);
        return vec![raw("missing-down", 0, message, "write the down part; without one a release cannot be taken back")];
    };
    let mentioned: Vec<String> = names(&down.text).iter().flat_map(|n| [n.clone(), n.rsplit('.').next().unwrap_or_default().to_owned()]).collect();
    let all = made(&migration.up);
    let tables: Vec<&Made> = all.iter().filter(|m| m.kind == "table" || m.kind == "schema").collect();
    let forgotten = |m: &&Made| {
        let name = m.name.rsplit('.').next().unwrap_or_default();
        // What stands on a table that this migration makes goes with the table.
        let goes_along = ["index", "trigger", "column", "sequence"].contains(&m.kind) && tables.iter().any(|t| mentioned.contains(&t.name));
        let schema = m
            .name
            .split_once('.')
            .is_some_and(|(schema, _)| tables.iter().any(|t| t.kind == "schema" && t.name == schema && mentioned.contains(&t.name)));
        !mentioned.iter().any(|n| n == name) && !goes_along && !schema
    };
    let message = |m: &Made| {
        raw("inexact-down", m.at, format!("the {} {} is made here, and the down part does not name it", m.kind, m.name), "drop it in the down part")
    };
    all.iter().filter(forgotten).map(message).collect()
}
