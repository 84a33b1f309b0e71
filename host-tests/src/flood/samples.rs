//! The pushes that are bent: every sample there is, for accounts of every mode in its format.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;
use weir_sim::wechat::{Account, AesKey, Format, Mode, cipher};
use weir_testbed::layout::Layout;

/// An account beside the demo account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) mode: Mode,
    pub(super) format: Format,
}

/// One account for each way that pushes travel.
pub(super) const VARIANTS: [Variant; 6] = [
    variant(
        "xml-encrypted",
        "/flood/xml-encrypted",
        Mode::Encrypted,
        Format::Xml,
    ),
    variant(
        "xml-compatible",
        "/flood/xml-compatible",
        Mode::Compatible,
        Format::Xml,
    ),
    variant("xml-plain", "/flood/xml-plain", Mode::Plain, Format::Xml),
    variant(
        "json-encrypted",
        "/flood/json-encrypted",
        Mode::Encrypted,
        Format::Json,
    ),
    variant(
        "json-compatible",
        "/flood/json-compatible",
        Mode::Compatible,
        Format::Json,
    ),
    variant("json-plain", "/flood/json-plain", Mode::Plain, Format::Json),
];

const fn variant(name: &'static str, path: &'static str, mode: Mode, format: Format) -> Variant {
    Variant {
        name,
        path,
        mode,
        format,
    }
}

/// A push, readable, and the account that it is for.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) variant: Variant,
    pub(super) account: Account,
    pub(super) key: AesKey,
    pub(super) push: Vec<u8>,
}

impl Sample {
    /// `Encrypt` for an inside of one's own making.
    pub(super) fn encrypt(&self, random: u128, push: &[u8]) -> String {
        cipher::encrypt(&self.key, random.to_le_bytes(), push, &self.account.appid)
    }

    /// The body that carries `Encrypt`: alone, or in compatible mode beside the readable push.
    pub(super) fn envelope(&self, encrypt: &str) -> Vec<u8> {
        let (end, element) = match self.variant.format {
            Format::Xml => (
                "</xml>",
                format!("<Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"),
            ),
            Format::Json => ("}", format!(",\"Encrypt\":\"{encrypt}\"}}")),
        };
        let to = &self.account.original_id;
        let readable = self.push.trim_ascii_end().strip_suffix(end.as_bytes());
        let start = match (self.variant.mode, readable, self.variant.format) {
            (Mode::Compatible, Some(readable), _) => readable.to_vec(),
            (_, _, Format::Xml) => {
                format!("<xml><ToUserName><![CDATA[{to}]]></ToUserName>").into_bytes()
            }
            (_, _, Format::Json) => format!("{{\"ToUserName\":\"{to}\"").into_bytes(),
        };
        [start, element.into_bytes()].concat()
    }
}

/// Every sample for every account of its format, addressed to it.
pub(super) fn read(demo: &Account) -> Result<Vec<Sample>> {
    let folder = Layout::of_this_checkout()
        .root()
        .join("protocol/tests/vectors/callbacks");
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json"))?)?;
    let mut samples = Vec::new();
    for entry in index["callbacks"].as_array().context("a list of samples")? {
        let file = entry["file"].as_str().context("a sample has a file")?;
        let mut push = fs::read_to_string(folder.join(file))?;
        for (given, ours) in [("to", &demo.original_id), ("app_id", &demo.appid)] {
            if let Some(given) = entry[given].as_str() {
                push = push.replace(given, ours);
            }
        }
        for variant in VARIANTS {
            if (variant.format == Format::Json) == file.ends_with(".json") {
                let account = demo
                    .clone()
                    .with_mode(variant.mode)
                    .with_format(variant.format);
                samples.push(Sample {
                    variant,
                    key: account.aes_key()?,
                    account,
                    push: push.clone().into_bytes(),
                });
            }
        }
    }
    Ok(samples)
}
