//! Fields as WeChat writes them in XML, and a strict reader (a well-kept parser, not our own).

use std::fmt::Write;

use super::{Fields, Value};

/// Not the XML it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadXml {
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The parser's word for it, with the place.
    #[error("{0}")]
    Malformed(String),
    /// The root element is not `xml`.
    #[error("the root element is not <xml>")]
    Root,
    /// Text beside elements.
    #[error("text beside elements")]
    MixedContent,
}

impl Fields {
    /// `<xml>…</xml>` without blanks between elements; every text in CDATA, numbers bare.
    ///
    /// Characters that XML forbids are written as they are: WeChat passes on what people type.
    pub fn to_xml(&self) -> String {
        let mut out = String::from("<xml>");
        self.write_elements(&mut out);
        out.push_str("</xml>");
        out
    }

    /// The elements alone, without the root.
    pub(crate) fn write_elements(&self, out: &mut String) {
        for (name, value) in self.iter() {
            write_element(out, name, value);
        }
    }

    /// Reads a document whose root is `<xml>`. DOCTYPE is refused; attributes and comments are ignored.
    ///
    /// # Errors
    /// [`BadXml`].
    pub fn from_xml(bytes: &[u8]) -> Result<Self, BadXml> {
        let text = std::str::from_utf8(bytes).map_err(|_| BadXml::NotUtf8)?;
        let document =
            roxmltree::Document::parse(text).map_err(|e| BadXml::Malformed(e.to_string()))?;
        let root = document.root_element();
        if !root.has_tag_name("xml") {
            return Err(BadXml::Root);
        }
        match read_node(root)? {
            Value::Fields(fields) => Ok(fields),
            Value::Text(text) if text.trim().is_empty() => Ok(Self::new()),
            _ => Err(BadXml::MixedContent),
        }
    }
}

fn write_element(out: &mut String, name: &str, value: &Value) {
    if let Value::List(items) = value {
        return items.iter().for_each(|item| write_element(out, name, item));
    }
    let _ = write!(out, "<{name}>");
    match value {
        // The only sequence CDATA cannot hold is its own end: cut in two there.
        Value::Text(text) => {
            let _ = write!(
                out,
                "<![CDATA[{}]]>",
                text.replace("]]>", "]]]]><![CDATA[>")
            );
        }
        Value::Number(number) => out.push_str(number),
        Value::Fields(fields) => fields.write_elements(out),
        Value::List(_) => unreachable!("handled above"),
    }
    let _ = write!(out, "</{name}>");
}

fn read_node(node: roxmltree::Node<'_, '_>) -> Result<Value, BadXml> {
    if !node.children().any(|child| child.is_element()) {
        let text: String = node
            .children()
            .filter_map(|child| child.text().filter(|_| child.is_text()))
            .collect();
        return Ok(Value::Text(text));
    }
    let mut fields = Fields::new();
    for child in node.children() {
        if child.is_element() {
            fields.push(child.tag_name().name(), read_node(child)?);
        } else if child.is_text() && !child.text().unwrap_or_default().trim().is_empty() {
            return Err(BadXml::MixedContent);
        }
    }
    Ok(Value::Fields(fields))
}
