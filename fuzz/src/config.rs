//! `config`: the plugin's configuration.

use weir_config::Problem;
use weir_engine::config::Config;

/// Secrets by the names that the corpus uses. No document has them by itself.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("TOKEN", "qZ7tokenInEnvironment"),
    ("TOKEN_2", "qZ8tokenInEnvironment"),
    ("KEY", "qZ9abcdefghijklmnopqrstuvwxyz0123456789ABCD"),
    ("SECRET", "qZ6secretInEnvironment"),
];
/// Most bytes in which a problem is told.
const MAX_PROBLEM: usize = 1024;

/// The target.
///
/// # Panics
/// What must hold does not.
pub fn check(data: &[u8]) {
    let config = match parse(data) {
        Ok(config) => config,
        Err(problems) => return check_problems(data, &problems),
    };
    check_secrets(data, &format!("{config:?}"));
    let mut count = 0;
    for (id, account) in config.accounts() {
        let route = config.route(&account.path).expect("a path leads somewhere");
        assert_eq!((route.account, route.authorizer), (id, None));
        assert!(
            config
                .account(id)
                .is_some_and(|same| std::ptr::eq(same, account))
        );
        count += 1;
    }
    assert!(count > 0);

    // Written anew, with other blanks, it means the same.
    let document: serde_json::Value = serde_json::from_slice(data).expect("it was read as JSON");
    for written in [
        serde_json::to_vec(&document),
        serde_json::to_vec_pretty(&document),
    ] {
        let written = written.expect("JSON can be written");
        let again = parse(&written).expect("a document once accepted");
        assert_eq!(again.accounts().count(), count);
    }
    // And with a field that nobody knows, it is refused for that.
    let mut extended = document;
    extended["surplus"] = true.into();
    let problems = parse(extended.to_string().as_bytes()).expect_err("an unknown field");
    assert!(problems.iter().all(|problem| problem.path == "surplus"));
}

fn parse(document: &[u8]) -> Result<Config, Vec<Problem>> {
    weir_config::parse(document, &|name| {
        let found = ENVIRONMENT.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn check_problems(data: &[u8], problems: &[Problem]) {
    assert!(!problems.is_empty(), "refused for no reason");
    for problem in problems {
        assert!(!problem.text.is_empty());
        // What is quoted is the document's own.
        assert!(problem.text.len() + problem.path.len() <= MAX_PROBLEM + 2 * data.len());
        check_secrets(data, &problem.text);
    }
}

/// No secret is shown, unless the document has it itself: a fuzzer guesses well.
fn check_secrets(data: &[u8], shown: &str) {
    for (_, secret) in ENVIRONMENT {
        if shown.contains(secret) {
            let document = serde_json::from_slice::<serde_json::Value>(data);
            let quoted = document.is_ok_and(|document| document.to_string().contains(secret));
            assert!(quoted, "a secret is shown");
        }
    }
}
