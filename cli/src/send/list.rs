//! The list: who is to get the message, and the values of its columns.
//!
//! All of it is read, and held, before anything is sent: what is wrong with line 90,000 is better known before line 1 went
//! out. Only the columns that the message uses are kept.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use weir_errands::send::{Recipient, openid};

/// A longer line is none.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// A list that was read to its end.
#[derive(Debug, Default)]
pub(super) struct List {
    /// In the order of the file, each once.
    pub(super) recipients: Vec<Recipient>,
    /// How many lines name somebody again.
    pub(super) doubles: usize,
    /// Lines that cannot be used, from 1, and why. Hold nothing of what is in them.
    pub(super) bad: Vec<(u64, String)>,
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The column with the openid.
    pub(super) openid: &'a str,
    /// The columns that the message uses.
    pub(super) columns: &'a [String],
}

/// Reads a list; `-` is the standard input. JSON lines begin with `{`, anything else is CSV.
///
/// # Errors
/// The file cannot be read, or its header lacks a column.
pub(super) fn read(path: &Path, wanted: Wanted<'_>) -> anyhow::Result<List> {
    let reader: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| format!("the list {}", path.display()))?)
    };
    read_from(BufReader::new(reader), wanted)
        .with_context(|| format!("the list {}", path.display()))
}

fn read_from(mut reader: impl BufRead, wanted: Wanted<'_>) -> anyhow::Result<List> {
    // A BOM or blank lines before the first brace do not make it CSV.
    let begins = reader.fill_buf()?;
    let begins = begins.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begins);
    let is_json = begins.trim_ascii_start().first() == Some(&b'{');
    let mut gathered = Gathered::default();
    if is_json {
        json_lines(reader, wanted, &mut gathered)?;
    } else {
        csv_rows(reader, wanted, &mut gathered)?;
    }
    Ok(gathered.list)
}

#[derive(Default)]
struct Gathered {
    list: List,
    seen: HashSet<String>,
}

impl Gathered {
    fn take(&mut self, line: u64, row: Result<Recipient, String>) {
        match row {
            Ok(recipient) if self.seen.contains(&recipient.openid) => self.list.doubles += 1,
            Ok(recipient) => {
                self.seen.insert(recipient.openid.clone());
                self.list.recipients.push(recipient);
            }
            Err(why) => self.list.bad.push((line, why)),
        }
    }
}

fn csv_rows(reader: impl Read, wanted: Wanted<'_>, gathered: &mut Gathered) -> anyhow::Result<()> {
    let mut rows = csv::ReaderBuilder::new().from_reader(reader);
    let headers = rows
        .headers()
        .context("its first line, the columns")?
        .clone();
    let place = |name: &str| -> anyhow::Result<usize> {
        match headers.iter().position(|header| header.trim() == name) {
            Some(place) => Ok(place),
            None => {
                let known: Vec<&str> = headers.iter().map(str::trim).collect();
                bail!("it has no column {name:?}; it has {}", known.join(", "))
            }
        }
    };
    let openid_at = place(wanted.openid)?;
    let columns: Vec<usize> = (wanted.columns.iter())
        .map(|name| place(name))
        .collect::<anyhow::Result<_>>()?;
    for row in rows.records() {
        let (line, recipient) = match row {
            Ok(row) => {
                let line = row.position().map_or(0, csv::Position::line);
                let value = |at: usize| row.get(at).unwrap_or_default();
                let recipient = openid(value(openid_at)).map(|openid| Recipient {
                    openid,
                    values: columns.iter().map(|at| value(*at).to_owned()).collect(),
                });
                (line, recipient)
            }
            Err(error) => {
                if error.is_io_error() {
                    return Err(error.into());
                }
                let line = error.position().map_or(0, csv::Position::line);
                let why = match error.kind() {
                    csv::ErrorKind::UnequalLengths {
                        expected_len, len, ..
                    } => format!("{len} columns in place of {expected_len}"),
                    _ => "not UTF-8".to_owned(),
                };
                (line, Err(why))
            }
        };
        gathered.take(line, recipient);
    }
    Ok(())
}

fn json_lines(
    mut reader: impl BufRead,
    wanted: Wanted<'_>,
    gathered: &mut Gathered,
) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        if (&mut reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut bytes)?
            == 0
        {
            break;
        }
        if bytes.len() as u64 == MAX_LINE_BYTES {
            bail!("line {number} is longer than {} MiB", MAX_LINE_BYTES >> 20);
        }
        let line = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if !line.trim_ascii().is_empty() {
            gathered.take(number, json_line(line, wanted));
        }
    }
    Ok(())
}

fn json_line(line: &[u8], wanted: Wanted<'_>) -> Result<Recipient, String> {
    let row: Map<String, Value> = serde_json::from_slice(line)
        .map_err(|error| format!("not a JSON object (column {})", error.column()))?;
    Recipient::of(&row, wanted.openid, wanted.columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str, columns: &[&str]) -> anyhow::Result<List> {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let wanted = Wanted {
            openid: "openid",
            columns: &columns,
        };
        read_from(text.as_bytes(), wanted)
    }

    fn rows(list: &List) -> Vec<(&str, Vec<&str>)> {
        let values = list.recipients.iter().map(|r| &r.values);
        let values = values.map(|values| values.iter().map(String::as_str).collect());
        let openids = list.recipients.iter().map(|r| r.openid.as_str());
        openids.zip(values).collect()
    }

    #[test]
    fn csv_is_read_by_the_names_of_its_columns() {
        let text = "\u{feff}name, openid ,n\r\n\"Li, \"\"Q\"\"\",oA,1\r\n王,oB,2\r\n";
        let list = list(text, &["n", "name"]).unwrap();
        assert_eq!(
            rows(&list),
            [("oA", vec!["1", "Li, \"Q\""]), ("oB", vec!["2", "王"])]
        );
        assert!(list.bad.is_empty());
    }

    #[test]
    fn json_lines_have_texts_and_numbers() {
        let text = "\n{\"openid\":\"oA\",\"n\":1.50,\"x\":{}}\n\n{\"n\":true,\"openid\":\"oB\"}";
        let list = list(text, &["n"]).unwrap();
        assert_eq!(rows(&list), [("oA", vec!["1.5"]), ("oB", vec!["true"])]);
    }

    #[test]
    fn who_is_named_twice_is_in_the_list_once_with_the_first_values() {
        let list = list("openid,n\noA,1\noB,2\noA,3\n", &["n"]).unwrap();
        assert_eq!(rows(&list), [("oA", vec!["1"]), ("oB", vec!["2"])]);
        assert_eq!(list.doubles, 1);
    }

    #[test]
    fn bad_lines_are_named_and_not_shown() {
        let bad = list("openid,n\noA,1\n,2\nhunter 2,3\noB\n", &["n"])
            .unwrap()
            .bad;
        let lines: Vec<u64> = bad.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert!(!format!("{bad:?}").contains("hunter"));
        let bad = list("{\"openid\":\"oA\"}\n{]\n{\"openid\":5,\"n\":1}", &["n"])
            .unwrap()
            .bad;
        let lines: Vec<u64> = bad.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3]);
    }

    #[test]
    fn a_column_that_is_missing_is_found_before_the_first_line() {
        let error = list("openid,name\n", &["nmae"]).unwrap_err().to_string();
        assert_eq!(error, "it has no column \"nmae\"; it has openid, name");
        assert!(list("a,b\n1,2\n", &[]).is_err());
    }
}
