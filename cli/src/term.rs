//! Small things for people who read.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// `println!` whose failure is an error and no panic: whoever reads may have seen enough (`| head`).
macro_rules! outln {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($arg)*)
    }};
}
pub(crate) use outln;

/// Whether the standard output may be coloured: it is a terminal, and `NO_COLOR` is not set.
#[must_use]
pub fn is_styled() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A bar on the standard error, drawn only if that is a terminal.
pub(crate) fn bar(length: u64) -> ProgressBar {
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(length)
    } else {
        ProgressBar::hidden()
    };
    let style = "{bar:32} {pos}/{len} {per_sec} {eta} left {msg}";
    bar.set_style(ProgressStyle::with_template(style).expect("the style is well-formed"));
    bar
}

/// `1 error`, `2 errors`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    let plural = match number {
        1 => "",
        _ if what.ends_with("sh") => "es",
        _ => "s",
    };
    format!("{number} {what}{plural}")
}

/// Text of strangers, safe for a terminal: control characters are shown and not obeyed. Line breaks and tabs stay.
#[must_use]
pub fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        // C0, C1, and what turns the direction of text.
        c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
            c.escape_unicode().to_string()
        }
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_commanded_by_what_it_shows() {
        assert_eq!(harmless("a\nb\t你😀"), "a\nb\t你😀");
        assert_eq!(harmless("\x1b[2J\u{202e}"), "\\u{1b}[2J\\u{202e}");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1, "rule"), "1 rule");
        assert_eq!(count(0, "rule"), "0 rules");
        assert_eq!(count(2, "push"), "2 pushes");
    }
}
