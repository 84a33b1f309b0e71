//! Writes a run into `fuzz/LEDGER.md`: a row per run, and the sum of all.

use std::process::Command;

use anyhow::{Context, Result};
use weir_testbed::layout::Layout;

use super::run::Outcome;

/// The head of the table of runs.
const HEAD: &str =
    "| target | date | revision | seconds | jobs | executions | edges | slowest, us | crashes |";
/// Starts the line with the sum.
const SUM: &str = "Executions in all: ";

/// The row of a run.
pub(super) fn row(layout: &Layout, outcome: &Outcome) -> Result<String> {
    let say = |program: &str, arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(layout.root()).output();
        let output = output.with_context(|| format!("cannot run {program}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let date = say("date", &["-u", "+%F"])?;
    let revision = say("git", &["rev-parse", "--short", "HEAD"])?;
    let Outcome {
        target,
        seconds,
        jobs,
        executions,
        edges,
        slowest_us,
        crashes,
    } = outcome;
    Ok(format!(
        "| {target} | {date} | {revision} | {seconds} | {jobs} | {} | {edges} | {slowest_us} | {crashes} |",
        grouped(*executions)
    ))
}

/// The ledger with another row, and the sum renewed.
pub(super) fn with(ledger: &str, row: &str) -> Result<String> {
    let mut lines: Vec<String> = ledger.lines().map(str::to_owned).collect();
    let head = lines.iter().position(|line| line == HEAD);
    let head = head.context("the ledger has no table of runs")?;
    let rows = lines[head..]
        .iter()
        .take_while(|line| line.starts_with('|'))
        .count();
    lines.insert(head + rows, row.to_owned());
    let runs = &lines[head + 2..=head + rows];
    let sum: u64 = runs.iter().filter_map(|row| executions(row)).sum();
    let place = lines.iter_mut().find(|line| line.starts_with(SUM));
    *place.context("the ledger has no sum")? = format!("{SUM}{}.", grouped(sum));
    Ok(lines.join("\n") + "\n")
}

fn executions(row: &str) -> Option<u64> {
    let cell = row.split('|').nth(6)?;
    cell.trim().replace(',', "").parse().ok()
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_added_after_the_others_and_into_the_sum() {
        let ledger = format!("# Ledger\n\n{HEAD}\n|---|\n\n{SUM}0.\n\nMore.\n");
        let row = |executions: &str| {
            format!("| xml | 2026-01-01 | abc | 10 | 1 | {executions} | 5 | 6 | 0 |")
        };
        let once = with(&ledger, &row("1,000")).unwrap();
        let twice = with(&once, &row("234")).unwrap();
        assert_eq!(
            twice,
            format!(
                "# Ledger\n\n{HEAD}\n|---|\n{}\n{}\n\n{SUM}1,234.\n\nMore.\n",
                row("1,000"),
                row("234")
            )
        );
        assert!(with("# Ledger\n", &row("1")).is_err());
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
