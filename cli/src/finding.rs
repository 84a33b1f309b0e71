//! What is wrong with a file, shown as a compiler would: the place, the line, a caret, the way out.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use crate::source::Source;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does not work.
    Error,
    /// It works, and probably not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The bytes of the file that it is about.
    pub span: Range<usize>,
    /// The path in the document, `accounts[0].token_env`; empty for the whole.
    pub path: String,
    /// What is wrong. Holds no secret.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Finding {
    /// An error.
    #[must_use]
    pub fn error(span: Range<usize>, path: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span,
            path: path.to_owned(),
            message: message.into(),
            help: None,
        }
    }

    /// A warning.
    #[must_use]
    pub fn warning(span: Range<usize>, path: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, path, message)
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The finding with the line of the file that it is about.
    #[must_use]
    pub fn render(&self, source: &Source, styled: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = if self.path.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.path, self.message)
        };
        // One line of the file is all that is shown, so it is all that the renderer has to look through.
        let span = source.first_line_of(&self.span);
        let number = source.position(span.start).0;
        let line = source.line(number);
        let snippet = Snippet::source(&source.text()[line.clone()])
            .line_start(number)
            .path(source.name())
            .annotation(
                AnnotationKind::Primary.span(span.start - line.start..span.end - line.start),
            );
        let mut group = level.primary_title(title).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if styled {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }

    /// The finding for a program.
    #[must_use]
    pub fn to_json(&self, source: &Source) -> serde_json::Value {
        let (line, column) = source.position(self.span.start);
        serde_json::json!({
            "severity": self.severity,
            "file": source.name(),
            "line": line,
            "column": column,
            "path": self.path,
            "message": self.message,
            "help": self.help,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_with_a_caret_under_the_place() {
        let source = Source::new("a.json", "{\n  \"mode\": \"enc\"\n}\n");
        let finding = Finding::error(12..17, "mode", "expected \"plain\"").help("look it up");
        assert_eq!(
            finding.render(&source, false),
            "error: mode: expected \"plain\"\n \
             --> a.json:2:11\n  \
             |\n\
             2 |   \"mode\": \"enc\"\n  \
             |           ^^^^^\n  \
             |\n  \
             = help: look it up"
        );
    }

    #[test]
    fn the_end_of_a_file_can_be_pointed_at() {
        let source = Source::new("a.json", "{");
        for at in [0, 1, 99] {
            let shown = Finding::warning(at..at, "", "?").render(&source, false);
            assert!(shown.contains("a.json:1:"), "{shown}");
        }
    }
}
