//! What to do about a finding where squawk does not say it, or says it of its own settings.

use super::Class;

const OURS: [(&str, &str); 26] = [
    ("ban-alter-domain-with-add-constraint", "put the check on the tables and columns that use the domain, not valid first"),
    ("ban-alter-identity", "add a new identity column beside it, move the writers over, then drop the old one"),
    ("ban-create-domain-with-constraint", "create the domain without it, and put a check on each column that uses the domain"),
    ("ban-drop-column", "stop reading and writing the column first, and drop it in a later release"),
    ("ban-drop-constraint", "release code that does without the constraint first, or replace it in the same migration"),
    ("ban-drop-database", "take it out of the migration; an administrator drops a database by hand"),
    ("ban-drop-default", "release code that names the column in every insert first, then drop the default"),
    ("ban-drop-domain", "change every column to the domain's base type first, and drop it in a later release"),
    ("ban-drop-extension", "make sure that nothing uses its types and functions, and drop it in a later release"),
    ("ban-drop-function", "release code that no longer calls it first, and drop it in a later release"),
    ("ban-drop-generated-expression", "add a plain column, fill it, move the readers over, and keep the expression until then"),
    ("ban-drop-not-null", "release code that can read null in this column first, then drop the constraint"),
    ("ban-drop-schema", "move or drop what is in the schema by name first, and drop it empty, without cascade"),
    ("ban-drop-sequence", "let the columns take their numbers elsewhere first, and drop it in a later release"),
    ("ban-drop-table", "stop reading and writing the table first, keep a copy, and drop it in a later release"),
    ("ban-drop-type", "change the columns and functions that use the type first, and drop it in a later release"),
    ("ban-drop-view", "move its readers over first, and drop it in a later release, or use create or replace view"),
    ("ban-duplicate-column-assignments", "name each column once, and keep the value or definition that is meant"),
    ("ban-set-schema", "leave a view of the old name in the old schema until every client uses the new one"),
    ("changing-column-type", "add a column of the new type, fill it in batches, move readers over, then drop the old"),
    ("identifier-too-long", "choose a name of at most 63 bytes"),
    ("renaming-column", "add the new column, keep both filled until no client uses the old one, then drop that"),
    ("renaming-object", "create it under the new name, move the clients over, and drop the old one in a later release"),
    ("renaming-table", "leave a view of the old name in the same migration until every client uses the new one"),
    ("transaction-nesting", "leave out begin and commit: each migration runs in a transaction of its own, unless it says `-- mlops: no-transaction`"),
    ("unused-ignore", "correct the rule's name, or delete the comment"),
];

/// Ours where there is one, else what squawk says, else what holds for all findings of the class.
pub(super) fn remedy(rule: &str, class: Class, said: Option<String>, fix: Option<String>) -> String {
    if rule == "prefer-robust-stmts" {
        // Its help is about another case than its fix.
        return fix.unwrap_or_else(|| "let the statement run in a transaction, or add `if exists` or `if not exists` to it".into());
    }
    let ours = OURS.iter().find(|(name, _)| *name == rule).map(|(_, remedy)| (*remedy).to_owned());
    ours.or(said).or(fix).unwrap_or_else(|| general(class).into())
}

const fn general(class: Class) -> &'static str {
    match class {
        Class::Destructive => "say why with `-- mlops: allow-destructive REASON`, or keep what it takes away",
        Class::Locking => "do it in steps that hold no lock for long: concurrently, not valid first, in batches",
        Class::Compatibility => "release code that works with both first, and change it in a later release",
        Class::Transaction => "correct the statement",
        Class::Contract => "change the dataset first (and retrain), or keep what it reads until nothing does",
        Class::Undo => "write the way back in the down part",
        Class::Style => "say it the other way, or list the rule in `migrate.lint.off`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_words_are_about_rules_that_there_are_and_in_order() {
        let known = super::super::rule_names();
        assert!(OURS.iter().all(|(rule, _)| known.iter().any(|name| name == rule)));
        assert!(OURS.is_sorted_by_key(|(rule, _)| *rule));
    }
}
