//! Where the values of environment variables come from: the process, a file, or nowhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

/// A file of variables beside the environment of this process.
#[derive(Debug, Clone, Default, Args)]
pub struct EnvFile {
    /// Read environment variables from this file too; what it says wins
    ///
    /// Lines NAME=VALUE as systemd and docker read them; '#' begins a comment, quotes around a value are dropped. May be given
    /// more than once.
    #[arg(id = "env_files", long = "env-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// The variables of this process, and those of files.
#[derive(Default)]
pub struct Environment {
    from_files: HashMap<String, String>,
}

impl Environment {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read, or has a line that is no variable.
    pub fn read(files: &EnvFile) -> anyhow::Result<Self> {
        let mut from_files = HashMap::new();
        for path in &files.files {
            from_files.extend(read_file(path)?);
        }
        Ok(Self { from_files })
    }

    /// The value of a variable. One that is not UTF-8 counts as not set.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<String> {
        // std::env::var panics on nothing, but a name with '=' or NUL is never set.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        self.from_files
            .get(name)
            .cloned()
            .or_else(|| std::env::var(name).ok())
    }
}

fn read_file(path: &Path) -> anyhow::Result<HashMap<String, String>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the file of variables {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> anyhow::Result<HashMap<String, String>> {
    let mut variables = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        // The line is not shown: it may hold a secret.
        let Some((name, value)) = line.split_once('=') else {
            bail!("line {}: expected NAME=VALUE", number + 1);
        };
        let value = value.trim();
        let bare = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        variables.insert(name.trim().to_owned(), bare.unwrap_or(value).to_owned());
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_variables_has_comments_quotes_and_exports() {
        let read = parse("# x\n\nA=1\nexport B = \"b c\" \r\nC='='\nD=\n").unwrap();
        let get = |name: &str| read.get(name).map(String::as_str);
        assert_eq!(get("A"), Some("1"));
        assert_eq!(get("B"), Some("b c"));
        assert_eq!(get("C"), Some("="));
        assert_eq!(get("D"), Some(""));
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let error = parse("A=1\nhunter2\n").unwrap_err().to_string();
        assert_eq!(error, "line 2: expected NAME=VALUE");
    }
}
