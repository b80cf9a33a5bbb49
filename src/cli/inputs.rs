//! The inputs of the action: options of the verb that its `command` names.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::Cli;
use crate::mistakes::suggestion;

/// The verbs that the action and the template run, by their words.
const VERBS: [&[&str]; 3] = [&["run"], &["report", "merge"], &["doctor"]];
/// Options that are no inputs.
const HIDDEN: [&str; 6] = ["help", "version", "verbose", "color", "progress", "postgres-bin"];
/// What the action sets for every verb.
const FOR_ALL: &str = "token";

/// An input of the action.
pub struct Input {
    pub name: String,
    pub help: String,
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Option,
    Flag,
    /// An argument without a name of its own on the command line.
    Argument,
}

/// The inputs of the action, each once, in the order of the verbs.
pub fn inputs() -> Vec<Input> {
    let mut seen = BTreeSet::new();
    VERBS.iter().flat_map(|words| options(words)).filter(|input| seen.insert(input.name.clone())).collect()
}

/// What a verb takes.
fn options(words: &[&str]) -> Vec<Input> {
    let root = Cli::command();
    let verb = words.iter().fold(&root, |verb: &Command, word| verb.find_subcommand(word).unwrap_or(verb));
    let input = |arg: &Arg| {
        let name = arg.get_long().map_or_else(|| arg.get_id().to_string(), str::to_owned);
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let kind = match (arg.is_positional(), arg.get_action()) {
            (true, _) => Kind::Argument,
            (false, ArgAction::SetTrue) => Kind::Flag,
            (false, _) => Kind::Option,
        };
        (!HIDDEN.contains(&name.as_str())).then_some(Input { name, help, kind })
    };
    root.get_arguments().chain(verb.get_arguments()).filter_map(input).collect()
}

/// GitHub hands inputs over as `INPUT_DRY-RUN`; they become options of the verb, unless the option is given. An input that
/// is not set arrives empty, and so does an argument built from one.
pub fn with_inputs(args: Vec<String>, env: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    // GitHub keeps the dashes of a name; GitLab's variables cannot hold them.
    let input = |name: &str| {
        let dashed = format!("INPUT_{}", name.to_uppercase());
        let given = env.get(&dashed).or_else(|| env.get(&dashed.replace('-', "_")));
        given.map(|v| v.trim()).filter(|v| !v.is_empty())
    };
    let given = args;
    let mut args: Vec<String> = given.iter().cloned().enumerate().filter(|(i, arg)| *i == 0 || !arg.is_empty()).map(|(_, arg)| arg).collect();
    let by_input = args.get(1).map(String::as_str) == Some("run");
    if by_input && let Some(command) = input("command") {
        args.splice(1..2, command.split_whitespace().map(str::to_owned));
    }
    let words: Vec<String> = args[1.min(args.len())..].iter().take_while(|arg| !arg.starts_with('-')).cloned().collect();
    let Some(verb) = VERBS.iter().find(|verb| words.iter().map(String::as_str).take(verb.len()).eq(verb.iter().copied())) else {
        return match input("command").filter(|_| by_input) {
            Some(command) => {
                let known: Vec<String> = VERBS.iter().map(|verb| verb.join(" ")).collect();
                Err(format!("the input `command` is `{command}`; {}", suggestion(command, known.iter().map(String::as_str), "commands")))
            }
            None => Ok(given),
        };
    };
    let options = options(verb);
    for Input { name, kind, .. } in &options {
        let Some(value) = input(name) else { continue };
        let option = format!("--{name}");
        let given = match kind {
            Kind::Argument => words.len() > verb.len(),
            _ => args.iter().any(|arg| *arg == option || arg.starts_with(&format!("{option}="))),
        };
        match (kind, value) {
            _ if given => {}
            (Kind::Argument, value) => args.push(value.to_owned()),
            (Kind::Option, value) => args.push(format!("{option}={value}")),
            (Kind::Flag, "true") => args.push(option),
            (Kind::Flag, "false") => {}
            (Kind::Flag, other) => return Err(format!("the input `{name}` is true or false, not `{other}`")),
        }
    }
    // One that does nothing would look as if it did.
    let lost = inputs().into_iter().map(|i| i.name).find(|name| name != FOR_ALL && input(name).is_some() && !options.iter().any(|o| o.name == *name));
    match lost {
        Some(name) => Err(format!("the input `{name}` is none of `{}`", verb.join(" "))),
        None => Ok(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(words: &[&str], env: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        with_inputs(words.iter().map(|w| (*w).to_owned()).collect(), &env)
    }

    #[test]
    fn inputs_become_options_and_empty_ones_nothing() {
        let env = [("INPUT_DRY-RUN", "true"), ("INPUT_STAGES", "check"), ("INPUT_COMMENT", ""), ("INPUT_QUIET", "false")];
        assert_eq!(with(&["mlops", "run", "", "--stages=migrate"], &env).expect("args"), ["mlops", "run", "--stages=migrate", "--dry-run"]);
        assert_eq!(with(&["mlops", "show", ""], &[("INPUT_STAGES", "x")]).expect("args"), ["mlops", "show", ""], "only the verbs of the action");
    }

    #[test]
    fn an_input_that_is_neither_true_nor_false_is_a_mistake() {
        assert!(with(&["mlops", "run"], &[("INPUT_DRY-RUN", "yes")]).is_err());
    }

    #[test]
    fn the_command_is_an_input_too_and_takes_only_its_own() {
        let merge = [("INPUT_COMMAND", "report merge"), ("INPUT_REPORTS", "reports"), ("INPUT_EXPECT", "3"), ("INPUT_TOKEN", "t")];
        assert_eq!(with(&["mlops", "run"], &merge).expect("args"), ["mlops", "report", "merge", "reports", "--expect=3", "--token=t"]);
        assert_eq!(with(&["mlops", "run"], &[("INPUT_COMMAND", "doctor"), ("INPUT_TOKEN", "t")]).expect("args")[1], "doctor");
        let wrong = with(&["mlops", "run"], &[("INPUT_COMMAND", "report merge"), ("INPUT_STAGES", "check")]).expect_err("not its own");
        assert_eq!(wrong, "the input `stages` is none of `report merge`");
        assert!(with(&["mlops", "run"], &[("INPUT_COMMAND", "docter")]).expect_err("typo").contains("did you mean `doctor`"));
    }
}
