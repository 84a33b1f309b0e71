//! Runs the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a run gave.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ended by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The output holds each of these.
    #[track_caller]
    pub(crate) fn says(&self, sentences: &[&str]) -> &Self {
        for sentence in sentences {
            assert!(
                self.out.contains(sentence),
                "no {sentence:?} in:\n{}\n{}",
                self.out,
                self.err
            );
        }
        self
    }

    /// The output holds none of these.
    #[track_caller]
    pub(crate) fn says_nothing_of(&self, sentences: &[&str]) -> &Self {
        for sentence in sentences {
            assert!(
                !self.out.contains(sentence),
                "{sentence:?} in:\n{}",
                self.out
            );
            assert!(
                !self.err.contains(sentence),
                "{sentence:?} in:\n{}",
                self.err
            );
        }
        self
    }

    /// It ended with this code.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    /// The output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// The command, in an environment with nothing of Weir's.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("WEIR")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn weir(args: &[&str]) -> Run {
    Run::new(command(args).output().unwrap())
}

/// Runs it with variables.
pub(crate) fn weir_with(variables: &[(&str, &str)], args: &[&str]) -> Run {
    let mut command = command(args);
    command.envs(variables.iter().copied());
    Run::new(command.output().unwrap())
}

/// A file of its own; the name ends as given.
pub(crate) fn file(name: &str, text: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The `envoy.yaml` of this repository.
pub(crate) fn shipped_envoy_yaml() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// That, with one thing changed.
#[track_caller]
pub(crate) fn envoy_yaml_with(from: &str, to: &str) -> String {
    let text = shipped_envoy_yaml();
    assert!(text.contains(from), "no {from:?} in envoy.yaml");
    file("envoy.yaml", &text.replace(from, to))
}

/// A small configuration that is right.
pub(crate) const CONFIG: &str = r#"{
  "accounts": [
    {
      "name": "demo",
      "path": "/wechat/demo",
      "original_id": "gh_0a1b2c3d4e5f",
      "appid": "wx0123456789abcdef",
      "mode": "encrypted",
      "token_env": "WEIR_DEMO_TOKEN",
      "encoding_aes_key_env": "WEIR_DEMO_AES_KEY",
      "rules": [ { "reply": "none" } ]
    }
  ],
  "store": { "cluster": "weir_store" }
}
"#;

/// The variables it names.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("WEIR_DEMO_TOKEN", "abcDEF123"),
    (
        "WEIR_DEMO_AES_KEY",
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    ),
];
