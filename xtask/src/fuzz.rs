//! `cargo xtask fuzz`: libFuzzer against the targets of the crate `weir-fuzz`, or their corpora without it.
//!
//! What is found stays under `target/fuzz/`: inputs that reach new code in `found/<target>`, crashes in `crashes/`, the
//! fuzzer's own words in `<target>-<job>.log`. `--minimise` turns what was found into the committed corpus.

mod build;
mod ledger;
mod run;

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use weir_testbed::layout::Layout;

use crate::{HELP, cargo, say};
use run::Outcome;

/// The targets, in the order of `weir_fuzz::TARGETS`, each with more seeds where there are some.
const TARGETS: [(&str, Option<&str>); 7] = [
    ("xml", Some("protocol/tests/vectors/callbacks")),
    ("json", Some("protocol/tests/vectors/callbacks")),
    ("bounds", None),
    ("decrypt", None),
    ("query", None),
    ("rules", None),
    ("config", None),
];

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Options {
    /// The committed corpora, without libFuzzer.
    Replay,
    /// What was found becomes the committed corpus, as small as it goes.
    Minimise(Vec<Target>),
    /// New inputs.
    Run {
        targets: Vec<Target>,
        seconds: u32,
        jobs: u32,
        record: bool,
    },
}

/// A target by its name, with the folder of its other seeds.
pub(crate) type Target = (&'static str, Option<&'static str>);

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (first, mut rest) = words
            .split_first()
            .with_context(|| format!("fuzz what?\n\n{HELP}"))?;
        match *first {
            "--replay" => {
                ensure!(rest.is_empty(), "--replay stands alone\n\n{HELP}");
                return Ok(Self::Replay);
            }
            "--minimise" => {
                let [name] = rest else {
                    bail!("--minimise takes a target or --all\n\n{HELP}");
                };
                return Ok(Self::Minimise(targets(name)?));
            }
            _ => {}
        }
        let targets = targets(first)?;
        let number = |word: Option<&&str>| -> Result<u32> {
            let number = word
                .and_then(|word| word.parse().ok())
                .filter(|number| *number > 0);
            number.with_context(|| format!("a number is missing\n\n{HELP}"))
        };
        let seconds = number(rest.first())?;
        let (mut jobs, mut record) = (1, false);
        rest = &rest[1..];
        while let Some((option, more)) = rest.split_first() {
            rest = more;
            match *option {
                "--jobs" => {
                    jobs = number(more.first())?;
                    rest = &more[1..];
                }
                "--record" => record = true,
                other => bail!("fuzz takes no {other:?}\n\n{HELP}"),
            }
        }
        Ok(Self::Run {
            targets,
            seconds,
            jobs,
            record,
        })
    }
}

fn targets(name: &str) -> Result<Vec<Target>> {
    let chosen: Vec<_> = TARGETS
        .into_iter()
        .filter(|(known, _)| name == "--all" || name == *known)
        .collect();
    let names = TARGETS.map(|(name, _)| name).join(", ");
    ensure!(
        !chosen.is_empty(),
        "there is no target {name:?}; there are {names}"
    );
    Ok(chosen)
}

/// Does it.
pub(crate) fn fuzz(layout: &Layout, options: &Options) -> Result<()> {
    match options {
        Options::Replay => {
            cargo::run(cargo::cargo(layout).args(["test", "--package", "weir-fuzz"]))
        }
        Options::Minimise(targets) => {
            let programs = build::programs(layout)?;
            targets
                .iter()
                .try_for_each(|target| run::minimise(layout, &programs, *target))
        }
        Options::Run {
            targets,
            seconds,
            jobs,
            record,
        } => {
            let programs = build::programs(layout)?;
            let mut broken = Vec::new();
            for target in targets {
                let outcome = say::timed(&format!("fuzzing {}", target.0), || {
                    run::run(layout, &programs, *target, *seconds, *jobs)
                })?;
                say::note(&outcome.to_string());
                if *record {
                    note(layout, &outcome)?;
                }
                if outcome.crashes > 0 {
                    broken.push(outcome.target);
                }
            }
            ensure!(
                broken.is_empty(),
                "inputs that break: {}; they are in {}",
                broken.join(", "),
                run::crashes(layout).display()
            );
            Ok(())
        }
    }
}

fn note(layout: &Layout, outcome: &Outcome) -> Result<()> {
    let path = layout.root().join("fuzz/LEDGER.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = ledger::with(&text, &ledger::row(layout, outcome)?)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        Options::parse(&words)
    }

    #[test]
    fn a_target_and_a_time_are_enough() {
        let Ok(Options::Run {
            targets,
            seconds,
            jobs,
            record,
        }) = parse(&["query", "20"])
        else {
            panic!("not understood");
        };
        assert_eq!(
            (targets, seconds, jobs, record),
            (vec![("query", None)], 20, 1, false)
        );
        let Ok(Options::Run {
            targets,
            jobs,
            record,
            ..
        }) = parse(&["--all", "1", "--jobs", "2", "--record"])
        else {
            panic!("not understood");
        };
        assert_eq!((targets.len(), jobs, record), (TARGETS.len(), 2, true));
        assert_eq!(parse(&["--replay"]).unwrap(), Options::Replay);
        assert!(matches!(
            parse(&["--minimise", "xml"]),
            Ok(Options::Minimise(_))
        ));
    }

    #[test]
    fn every_corpus_has_its_target() {
        let corpora = Layout::of_this_checkout().root().join("fuzz/corpus");
        let mut names: Vec<_> = fs::read_dir(corpora)
            .expect("the corpora are there")
            .map(|folder| folder.expect("it can be listed").file_name())
            .collect();
        names.sort();
        let mut known = TARGETS.map(|(name, _)| name);
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for words in [
            &[][..],
            &["query"],
            &["query", "0"],
            &["query", "x"],
            &["query", "1", "--jobs"],
            &["query", "1", "--jobs", "0"],
            &["query", "1", "2"],
            &["nothing", "1"],
            &["--replay", "xml"],
            &["--minimise"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
