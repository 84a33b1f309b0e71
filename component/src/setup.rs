//! The configuration, read when an instance is asked for the first time.

use std::cell::RefCell;
use std::rc::Rc;

use weir_engine::capability::Capabilities;
use weir_engine::config::Config;

use crate::state;

/// Where the configuration is.
const DOCUMENT: &str = "WEIR_CONFIG";

thread_local! {
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
}

/// Every problem of the configuration.
pub(crate) fn check() -> Result<(), Vec<String>> {
    read().map(drop)
}

/// The configuration; one with problems is told to the operator.
pub(crate) fn config() -> Option<Rc<Config>> {
    let known = CONFIG.with_borrow(Clone::clone);
    known.or_else(|| match read() {
        Ok(config) => {
            CONFIG.set(Some(config.clone()));
            Some(config)
        }
        Err(problems) => {
            for problem in problems {
                eprintln!("weir: configuration: {problem}");
            }
            None
        }
    })
}

fn read() -> Result<Rc<Config>, Vec<String>> {
    let Some(document) = variable(DOCUMENT).or_else(state::document) else {
        return Err(vec![format!("there is none in {DOCUMENT}")]);
    };
    weir_config::parse_for(Capabilities::NONE, document.as_bytes(), &|name| {
        variable(name).or_else(|| state::setting(name))
    })
    .map(Rc::new)
    .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
