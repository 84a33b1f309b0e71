//! Weir's own configuration, checked by the code that the filter runs, with every problem led back to where it stands.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;
use weir_config::Problem;

use crate::environment::Environment;
use crate::finding::Finding;
use crate::source::Node;
use crate::term::count;

/// What the check of one configuration gave. Spans are those of the document's nodes.
pub(super) struct Checked {
    /// `1 account, 6 rules`.
    pub(super) summary: String,
    pub(super) findings: Vec<Finding>,
}

/// The values of the variables that a configuration names.
pub(super) struct Variables<'a> {
    environment: &'a Environment,
    /// Values in the file itself, which come first.
    pub(super) given: HashMap<String, String>,
    /// Made-up values: for all variables, or for those that are complained about elsewhere.
    invented: HashMap<String, String>,
    missing: RefCell<HashSet<String>>,
}

impl<'a> Variables<'a> {
    /// From the environment, or with `invent` from the names of the fields that name them.
    pub(super) fn new(environment: &'a Environment, invent: bool, document: &Node) -> Self {
        let mut variables = Self {
            environment,
            given: HashMap::new(),
            invented: HashMap::new(),
            missing: RefCell::default(),
        };
        if invent {
            for named in named(document) {
                variables.invent(named.variable, named.field);
            }
        }
        variables
    }

    /// Makes a value up, of the shape that the field wants.
    pub(super) fn invent(&mut self, variable: &str, field: &str) {
        let value = if field.contains("aes_key") {
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ".to_owned()
        } else if field == "key_env" {
            // No two clients of the door may have the same.
            format!("the-made-up-value-of-{variable}")
        } else if field.contains("seal_key") {
            "0123456789abcdef".repeat(4)
        } else {
            "abcdefghijklmnopqrstuvwx01234567".to_owned()
        };
        self.invented.insert(variable.to_owned(), value);
    }

    fn lookup(&self, name: &str) -> Option<String> {
        if let Some(value) = self.given.get(name) {
            return Some(value.clone());
        }
        if let Some(value) = self.invented.get(name) {
            return Some(value.clone());
        }
        let value = self.environment.lookup(name);
        if value.is_none() {
            self.missing.borrow_mut().insert(name.to_owned());
        }
        value
    }
}

/// A field whose value is the name of a variable.
pub(super) struct Named<'a> {
    /// `accounts[0].token_env`.
    pub(super) path: String,
    /// `token_env`.
    pub(super) field: &'a str,
    pub(super) variable: &'a str,
    pub(super) node: &'a Node,
}

/// Every field that names a variable: those that end in `_env`, outside of rules.
pub(super) fn named(document: &Node) -> Vec<Named<'_>> {
    let mut found = Vec::new();
    let mut stack = vec![(String::new(), document)];
    while let Some((path, node)) = stack.pop() {
        for entry in node.entries() {
            let Some(key) = entry.key.text().filter(|key| *key != "rules") else {
                continue;
            };
            let path = if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}.{key}")
            };
            match entry.value.text() {
                Some(variable) if key.ends_with("_env") => found.push(Named {
                    path,
                    field: key,
                    variable,
                    node: &entry.value,
                }),
                _ => stack.push((path, &entry.value)),
            }
        }
        for (index, item) in node.items().iter().enumerate() {
            stack.push((format!("{path}[{index}]"), item));
        }
    }
    found.sort_by_key(|named| named.node.span.start);
    found
}

/// Checks a configuration. `document` is the same as `json`, with positions.
pub(super) fn check(json: &Json, document: &Node, variables: &Variables<'_>) -> Checked {
    let mut findings: Vec<Finding> = document
        .repeated_keys()
        .into_iter()
        .map(|key| {
            let name = key.text().unwrap_or_default();
            Finding::warning(
                key.span.clone(),
                "",
                format!("{name:?} is given twice here, and this one counts"),
            )
        })
        .collect();
    let bytes = json.to_string();
    let env = |name: &str| variables.lookup(name);
    let bytes = bytes.as_bytes();
    let problems = match Module::of(document) {
        Module::Pushes => weir_config::parse(bytes, &env).err(),
        Module::Door => weir_config::parse_door(bytes, &env).err(),
        Module::Login => weir_config::parse_login(bytes, &env).err(),
    };
    if let Some(problems) = problems {
        let missing = variables.missing.borrow();
        let problems = problems.iter();
        findings.extend(problems.map(|problem| finding(problem, document, &missing)));
    }
    Checked {
        summary: summary(document),
        findings,
    }
}

fn finding(problem: &Problem, document: &Node, missing: &HashSet<String>) -> Finding {
    let place = document.locate(&problem.path);
    let (message, help) = match problem.text.split_once("; ") {
        Some((message, help)) => (message, Some(help.to_owned())),
        None => (problem.text.as_str(), None),
    };
    let span = match place.key {
        // The value of a field that should not be there is beside the point.
        Some(key) if place.whole && message.contains("not a known field") => key.span.clone(),
        _ => place.span(),
    };
    let names_missing = place.whole
        && problem.path.ends_with("_env")
        && place.node.text().is_some_and(|name| missing.contains(name));
    if names_missing {
        return Finding::error(
            span,
            &problem.path,
            "the environment variable is not set here",
        )
        .help("give its value with --env-file, or check without secrets with --no-env");
    }
    let finding = Finding::error(span, &problem.path, message);
    match help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    /// `weir.wasm`.
    Pushes,
    /// `weir-door.wasm`: that alone has clients.
    Door,
    /// `weir-login.wasm`: that alone has sessions.
    Login,
}

impl Module {
    pub(super) fn of(document: &Node) -> Self {
        if document.get("clients").is_some() {
            Self::Door
        } else if document.get("sessions").is_some() {
            Self::Login
        } else {
            Self::Pushes
        }
    }
}

fn summary(document: &Node) -> String {
    let items = |name| document.get(name).map_or(&[][..], Node::items);
    let accounts = items("accounts");
    let number = accounts.len();
    match Module::of(document) {
        Module::Door => {
            let clients = count(items("clients").len(), "client");
            return format!("the API door: {}, {clients}", count(number, "account"));
        }
        Module::Login => {
            let pages = count(items("pages").len(), "page");
            return format!("logins: {}, {pages}", count(number, "account"));
        }
        Module::Pushes => {}
    }
    let rules = accounts
        .iter()
        .filter_map(|account| Some(account.get("rules")?.items().len()))
        .sum();
    format!(
        "{}, {}",
        count(accounts.len(), "account"),
        count(rules, "rule")
    )
}
