//! `--dry-run`: the request that would be sent, as a curl command.

use serde_json::json;
use weir_sim::http::Request;

use crate::target::origin;
use crate::term::{harmless, outln};

/// Prints the request for `url`. `readable` is the body before encryption.
pub(super) fn print(
    as_json: bool,
    url: &str,
    request: &Request,
    readable: &[u8],
) -> anyhow::Result<()> {
    let url = format!("{}{}", origin(url), request.path_and_query());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    if as_json {
        let whole = json!({
            "method": request.method,
            "url": url,
            "headers": headers.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "body": text(&request.body),
            "readable_body": text(readable),
        });
        outln!("{}", serde_json::to_string_pretty(&whole)?)?;
        return Ok(());
    }
    if readable != request.body {
        outln!("# before encryption:")?;
        for line in harmless(&text(readable)).lines() {
            outln!("# {line}")?;
        }
    }
    outln!("{}", curl(&url, request, &headers))?;
    Ok(())
}

fn curl(url: &str, request: &Request, headers: &[(String, String)]) -> String {
    // A shell's words hold any text without NUL. What curl would take for the name of a file goes in by the pipe too.
    let as_text = std::str::from_utf8(&request.body)
        .ok()
        .filter(|body| !body.contains('\0') && !body.starts_with('@'));
    let mut out = String::new();
    if as_text.is_none() {
        use std::fmt::Write as _;
        out.push_str("printf '");
        for byte in &request.body {
            let _ = write!(out, "\\{byte:03o}");
        }
        out.push_str("' | ");
    }
    out.push_str("curl -sS -i");
    if request.method != "GET" {
        out.push_str(" -X ");
        out.push_str(&request.method);
    }
    for (name, value) in headers {
        out.push_str(" \\\n  -H ");
        out.push_str(&quoted(&format!("{name}: {value}")));
    }
    match as_text {
        None => out.push_str(" \\\n  --data-binary @-"),
        Some("") => {}
        Some(body) => {
            out.push_str(" \\\n  --data-binary ");
            out.push_str(&quoted(body));
        }
    }
    out.push_str(" \\\n  ");
    out.push_str(&quoted(url));
    out
}

/// One word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_shell_holds_any_text() {
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
    }
}
