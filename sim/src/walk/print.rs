//! Shows a walk to a person: one aligned line per step, the store's rows indented below.

use std::io::{self, Write};
use std::time::Duration;

use super::{Options, Report, Step};
use crate::wechat::{Account, Format, Mode};

/// Steps' names are padded to this many columns.
const NAME_WIDTH: usize = 34;

/// Writes steps as they come.
#[derive(Debug)]
pub struct Printer<W> {
    out: W,
    colour: bool,
}

impl<W: Write> Printer<W> {
    /// Colours are for terminals.
    pub fn new(out: W, colour: bool) -> Self {
        Self { out, colour }
    }

    /// What is about to be walked.
    ///
    /// # Errors
    /// The output's.
    pub fn heading(&mut self, options: &Options) -> io::Result<()> {
        let Account {
            name, mode, format, ..
        } = &options.account;
        let mode = match mode {
            Mode::Plain => "plain",
            Mode::Compatible => "compatible",
            Mode::Encrypted => "encrypted",
        };
        let format = match format {
            Format::Xml => "XML",
            Format::Json => "JSON",
        };
        let line = self.paint("1", &format!("WeChat ▶ {}", options.url));
        writeln!(self.out, "{line}  (account {name}, {mode}, {format})")
    }

    /// One step, and what was wrong with it.
    ///
    /// # Errors
    /// The output's.
    pub fn step(&mut self, step: &Step) -> io::Result<()> {
        let (mark, colour) = if step.is_right() {
            ("✓", "32")
        } else {
            ("✗", "31")
        };
        let mark = self.paint(colour, mark);
        let status = step
            .status
            .map_or("---".to_owned(), |status| status.to_string());
        let took = duration(step.took);
        let padding = " ".repeat(NAME_WIDTH.saturating_sub(columns(&step.name)));
        writeln!(
            self.out,
            "{mark} {}{padding} {status} {took:>8}  {}",
            step.name, step.saw
        )?;
        for wrong in &step.wrong {
            let wrong = self.paint("31", wrong);
            writeln!(self.out, "    {wrong}")?;
        }
        if let Some(json) = &step.json {
            for line in pretty(json).lines() {
                let line = self.paint("2", line);
                writeln!(self.out, "    {line}")?;
            }
        }
        self.out.flush()
    }

    /// The last line.
    ///
    /// # Errors
    /// The output's.
    pub fn summary(&mut self, report: &Report) -> io::Result<()> {
        let wrong: Vec<&str> = report
            .steps
            .iter()
            .filter(|step| !step.is_right())
            .map(|step| step.name.as_str())
            .collect();
        let took = duration(report.took);
        let line = if wrong.is_empty() {
            self.paint(
                "32",
                &format!("all {} steps right, {took}", report.steps.len()),
            )
        } else {
            self.paint(
                "31",
                &format!(
                    "{} of {} steps wrong: {}",
                    wrong.len(),
                    report.steps.len(),
                    wrong.join("; ")
                ),
            )
        };
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// `0.8 ms`, `12 ms`, `1.2 s`.
fn duration(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1000.0;
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

/// How wide a terminal shows it: Chinese characters and emoji take two columns.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| if u32::from(c) >= 0x2e80 { 2 } else { 1 })
        .sum()
}

/// JSON with a line per member, in its own order; arrays of plain values stay on their line.
fn pretty(json: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut containers = Vec::new();
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    for c in json.trim().chars() {
        if in_string {
            out.push(c);
            in_string = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                containers.push(c);
                out.push(c);
                if c == '{' {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            '}' | ']' => {
                if containers.pop() == Some('{') {
                    depth = depth.saturating_sub(1);
                    newline(&mut out, depth);
                }
                out.push(c);
            }
            ',' if containers.last() == Some(&'{') => {
                out.push(',');
                newline(&mut out, depth);
            }
            ',' | ':' => {
                out.push(c);
                out.push(' ');
            }
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_in_its_own_order() {
        let json = r#"{"b":"x,\"{y}","a":[1,2],"c":{"d":null}}"#;
        let laid_out =
            "{\n  \"b\": \"x,\\\"{y}\",\n  \"a\": [1, 2],\n  \"c\": {\n    \"d\": null\n  }\n}";
        assert_eq!(pretty(json), laid_out);
    }

    #[test]
    fn steps_are_aligned_and_a_wrong_one_says_why() {
        let step = |name: &str, wrong: &[&str]| Step {
            name: name.to_owned(),
            took: Duration::from_micros(1234),
            status: Some(200),
            saw: "“hi”".to_owned(),
            json: None,
            wrong: wrong.iter().map(|w| (*w).to_owned()).collect(),
        };
        let report = Report {
            steps: vec![step("send “你好”", &[]), step("unfollow", &["late"])],
            took: Duration::ZERO,
        };
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, false);
        report
            .steps
            .iter()
            .for_each(|step| printer.step(step).unwrap());
        printer.summary(&report).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "✓ send “你好”                        200   1.2 ms  “hi”\n\
             ✗ unfollow                           200   1.2 ms  “hi”\n    late\n1 of 2 steps wrong: unfollow\n"
        );
    }
}
