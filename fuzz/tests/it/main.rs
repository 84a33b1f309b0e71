//! The committed corpora, through the targets, without libFuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use weir_fuzz::{TARGETS, Target};

/// Most bytes of a target's corpus: it is read by people and cloned by everybody.
const MAX_CORPUS: u64 = 300_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay((name, check): Target) {
    let files = files(&folder().join("corpus").join(name));
    assert!(!files.is_empty(), "{name} has no corpus");
    let mut size = 0;
    for file in files {
        let input = fs::read(&file).unwrap();
        size += input.len() as u64;
        if std::panic::catch_unwind(|| check(&input)).is_err() {
            panic!("{}", file.display());
        }
    }
    assert!(size <= MAX_CORPUS, "{name}: {size} bytes");
}

macro_rules! replays {
    ($($name:ident),+) => {
        $(#[test]
        fn $name() {
            replay(*TARGETS.iter().find(|(name, _)| *name == stringify!($name)).unwrap());
        })+

        #[test]
        fn every_target_and_every_corpus_is_replayed() {
            let mut replayed = [$(stringify!($name)),+];
            assert_eq!(replayed, TARGETS.map(|(name, _)| name));
            replayed.sort();
            let corpora = files(&folder().join("corpus"));
            let corpora: Vec<_> = corpora.iter().map(|folder| folder.file_name().unwrap()).collect();
            assert_eq!(corpora, replayed);
        }
    };
}

replays!(xml, json, bounds, decrypt, query, rules, config);

#[test]
fn every_sample_of_a_push_holds_too() {
    let samples = folder().join("../protocol/tests/vectors/callbacks");
    for file in files(&samples) {
        let input = fs::read(&file).unwrap();
        weir_fuzz::xml::check(&input);
        weir_fuzz::json::check(&input);
        // As the message of an envelope, and as the blocks in it.
        weir_fuzz::decrypt::check(&[&b"\x02wx1\xff"[..], &input].concat());
        weir_fuzz::decrypt::check(&[&b"\x03\x00nonce\xff\xff"[..], &input].concat());
        weir_fuzz::decrypt::check(&[&b"\x01"[..], &input].concat());
    }
}
