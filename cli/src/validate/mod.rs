//! `weir validate`: whether a file would be taken, before Envoy is asked.
//!
//! `weir-config` decides what is a configuration, here as in the filter; this module finds it in the file, gives it variables, leads every problem back
//! to its line, and checks around it what Weir needs of Envoy.

pub(crate) mod document;
pub(crate) mod envoy;
mod plugin;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::Outcome;
use crate::environment::{EnvFile, Environment};
use crate::finding::{Finding, Severity};
use crate::source::Source;
use crate::term::{count, is_styled, outln};

/// Arguments of `weir validate`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ValidateArgs {
    /// Weir's configuration (JSON or YAML), or an Envoy configuration with Weir in it; '-' is the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    env: EnvFile,
    /// Check without secrets: every variable that is named counts as set, with a value of the right shape
    #[arg(long, conflicts_with = "env_files")]
    no_env: bool,
    /// Warnings fail the check too
    #[arg(long)]
    strict: bool,
    /// Print one JSON document: files, findings (severity, file, line, column, path, message, help) and counts
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
What is checked:
  - the configuration itself, by the code that the filter runs: every problem is shown;
  - fields that are given twice, of which the last would silently win;
  - the environment variables it names: set, and of the right shape.

In an Envoy configuration also, for every HTTP filter of type
envoy.extensions.filters.http.wasm.v3.Wasm that is Weir's:
  - `configuration` is a google.protobuf.StringValue (a Struct would not arrive as JSON);
  - the variables are passed on by vm_config.environment_variables, with no secret in the file;
  - `allow_on_headers_stop_iteration: true`, without which requests with a body hang;
  - `failure_policy: FAIL_RELOAD`: FAIL_OPEN and fail_open would let unverified pushes through;
  - the clusters that `store` and `wechat_api` name exist;
  - the cluster of `wechat_api` speaks TLS and checks whom it speaks to;
  - the listener's buffer is not smaller than `limits.max_body_bytes`.

Exit codes: 0 no errors, 1 errors (with --strict also warnings), 2 a file could not be read.

Examples:
  weir validate envoy.yaml
  weir validate --no-env envoy.yaml              # in CI, where the secrets are not
  weir validate --env-file /etc/weir/env weir.json
  weir validate --json envoy.yaml | jq '.findings[].message'";

/// What was found in one file.
struct Report {
    source: Source,
    /// Configurations of Weir, in words: `1 account, 6 rules`.
    found: Vec<String>,
    findings: Vec<Finding>,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read.
pub fn run(args: &ValidateArgs) -> anyhow::Result<Outcome> {
    let environment = Environment::read(&args.env)?;
    let mut reports = Vec::new();
    let mut unreadable = None;
    for path in &args.files {
        match Source::read(path) {
            Ok(source) => reports.push(check(source, &environment, args.no_env)),
            Err(error) => {
                // The other files are still worth checking.
                if let Some(earlier) = unreadable.replace(error) {
                    eprintln!("weir: {earlier:#}");
                }
            }
        }
    }
    let number_of = |severity: Severity| {
        let findings = reports.iter().flat_map(|report| &report.findings);
        findings.filter(|f| f.severity == severity).count()
    };
    let (errors, warnings) = (number_of(Severity::Error), number_of(Severity::Warning));
    if args.json {
        print_json(&reports, errors, warnings)?;
    } else {
        print_text(&reports, errors, warnings)?;
    }
    if let Some(error) = unreadable {
        return Err(error);
    }
    Ok(Outcome::good_if(
        errors == 0 && (warnings == 0 || !args.strict),
    ))
}

fn check(source: Source, environment: &Environment, invent: bool) -> Report {
    let (found, mut findings) = document::check(&source, environment, invent);
    findings.sort_by_key(|finding| finding.span.start);
    Report {
        source,
        found,
        findings,
    }
}

fn print_text(reports: &[Report], errors: usize, warnings: usize) -> std::io::Result<()> {
    let styled = is_styled();
    for report in reports {
        for finding in &report.findings {
            outln!("{}\n", finding.render(&report.source, styled))?;
        }
        if report.findings.is_empty() {
            outln!("{}: ok ({})", report.source.name(), report.found.join("; "))?;
        }
    }
    if errors + warnings > 0 {
        outln!(
            "{} and {} in {}",
            count(errors, "error"),
            count(warnings, "warning"),
            count(reports.len(), "file"),
        )?;
    }
    Ok(())
}

fn print_json(reports: &[Report], errors: usize, warnings: usize) -> anyhow::Result<()> {
    let files: Vec<_> = reports
        .iter()
        .map(|report| json!({"file": report.source.name(), "configurations": report.found.len()}))
        .collect();
    let findings: Vec<_> = reports
        .iter()
        .flat_map(|report| report.findings.iter().map(|f| f.to_json(&report.source)))
        .collect();
    let whole = json!({
        "files": files,
        "findings": findings,
        "errors": errors,
        "warnings": warnings,
    });
    outln!("{}", serde_json::to_string_pretty(&whole)?)?;
    Ok(())
}
