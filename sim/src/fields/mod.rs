//! The content of a push or a reply: named values in order, nested, independent of XML or JSON.

mod json;
mod xml;

pub use json::BadJson;
pub use xml::BadXml;

/// Named values in the order they are written. A name may occur twice: that is for tests of bad pushes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Value)>);

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// CDATA in XML, a string in JSON.
    Text(String),
    /// Bare digits in XML, a number in JSON. Kept as text, so that 64 bits survive.
    Number(String),
    /// Child elements in XML, an object in JSON.
    Fields(Fields),
    /// Repeated elements in XML, an array in JSON, also when there is only one.
    List(Vec<Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Fields(fields)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl Value {
    /// The text of a leaf.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Fields(_) | Self::List(_) => None,
        }
    }
}

impl Fields {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value at the end.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a value at the end.
    pub fn push(&mut self, name: &str, value: impl Into<Value>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Adds a value under a dotted path, making the objects on the way: `ScanCodeInfo.ScanType`.
    pub fn push_at(&mut self, path: &str, value: impl Into<Value>) {
        let Some((head, rest)) = path.split_once('.') else {
            return self.push(path, value);
        };
        if let Some((_, Value::Fields(inner))) =
            self.0.iter_mut().rev().find(|(name, _)| name == head)
        {
            return inner.push_at(rest, value);
        }
        let mut inner = Self::new();
        inner.push_at(rest, value);
        self.push(head, inner);
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value)
    }

    /// The text of a leaf by its dotted path: `Image.MediaId`.
    pub fn text(&self, path: &str) -> Option<&str> {
        match path.split_once('.') {
            None => self.get(path)?.as_text(),
            Some((head, rest)) => match self.get(head)? {
                Value::Fields(inner) => inner.text(rest),
                _ => None,
            },
        }
    }

    /// Every value of that name; a list counts as its items.
    pub fn all<'a>(&'a self, name: &str) -> Vec<&'a Value> {
        let mut found = Vec::new();
        for (n, value) in &self.0 {
            match value {
                _ if n != name => {}
                Value::List(items) => found.extend(items),
                value => found.push(value),
            }
        }
        found
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A name that occurs more than once, if one does.
    pub fn repeated(&self) -> Option<&str> {
        let names = || self.0.iter().map(|(name, _)| name.as_str());
        names()
            .enumerate()
            .find(|(i, name)| names().take(*i).any(|earlier| earlier == *name))
            .map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Fields {
        let mut fields = Fields::new()
            .with("Content", "a]]>b <😀> & c")
            .with("MsgId", 24_000_000_000_000_001_u64);
        fields.push_at("Info.Type", "qrcode");
        fields.push_at("Info.Count", 2_i64);
        fields.push(
            "List",
            vec![Fields::new().with("Id", "1"), Fields::new().with("Id", "2")],
        );
        fields
    }

    #[test]
    fn what_is_written_as_json_reads_back_the_same() {
        for fields in [sample(), sample().with("MsgId", "again")] {
            assert_eq!(
                Fields::from_json(fields.to_json().as_bytes()).unwrap(),
                fields
            );
        }
    }

    #[test]
    fn what_is_written_as_xml_reads_back_with_the_same_texts() {
        let read = Fields::from_xml(sample().to_xml().as_bytes()).unwrap();
        assert_eq!(read.text("Content"), sample().text("Content"));
        assert_eq!(read.text("MsgId"), Some("24000000000000001"));
        assert_eq!(read.text("Info.Type"), Some("qrcode"));
        assert_eq!(read.all("List").len(), 2);
    }

    #[test]
    fn a_repeated_name_is_found() {
        assert_eq!(sample().repeated(), None);
        assert_eq!(sample().with("MsgId", "1").repeated(), Some("MsgId"));
    }
}
