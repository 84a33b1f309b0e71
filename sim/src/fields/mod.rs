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

impl Value {
    /// What a step of a path leads to: made if it is not there, in place of a leaf if need be.
    fn child(&mut self, step: &str) -> Option<&mut Self> {
        if step.is_empty() {
            return None;
        }
        let index = step.parse::<usize>().ok();
        if let Self::Text(_) | Self::Number(_) = self {
            *self = match index {
                Some(_) => Self::List(Vec::new()),
                None => Self::Fields(Fields::new()),
            };
        }
        match (self, index) {
            (Self::Fields(fields), _) => Some(fields.slot(step)),
            (Self::List(items), Some(index)) => {
                if index == items.len() {
                    items.push(Self::Text(String::new()));
                }
                items.get_mut(index)
            }
            (Self::List(items), None) => {
                if items.is_empty() {
                    items.push(Self::Fields(Fields::new()));
                }
                items.first_mut()?.child(step)
            }
            (Self::Text(_) | Self::Number(_), _) => None,
        }
    }
}

/// Not a path of [`Fields::set_at`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no path to a field: names and places in lists, counted from 0, with dots between"
)]
pub struct BadPath(String);

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

    /// Sets the leaf under a dotted path. What is there is replaced, also a whole object or list; what is missing on the way is
    /// made. A number is a place in a list, `List.0.TemplateId`, and one past the end makes a new item; without a
    /// number the first item is meant.
    ///
    /// # Errors
    /// [`BadPath`]: the path is no path, or leaves a gap in a list.
    pub fn set_at(&mut self, path: &str, value: impl Into<Value>) -> Result<(), BadPath> {
        let bad = || BadPath(path.to_owned());
        let mut steps = path.split('.');
        let name = steps
            .next()
            .filter(|name| !name.is_empty())
            .ok_or_else(bad)?;
        let steps: Vec<&str> = steps.collect();
        let mut slot = self.slot(name);
        for step in steps {
            slot = slot.child(step).ok_or_else(bad)?;
        }
        *slot = value.into();
        Ok(())
    }

    /// Takes every value of that name out. Whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(n, _)| n != name);
        self.0.len() < before
    }

    /// The first value of that name, made if there is none.
    fn slot(&mut self, name: &str) -> &mut Value {
        let at = self.0.iter().position(|(n, _)| n == name);
        let at = at.unwrap_or_else(|| {
            self.push(name, "");
            self.0.len() - 1
        });
        &mut self.0[at].1
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
    fn a_leaf_is_set_by_its_path_and_the_way_is_made() {
        let mut fields = sample();
        for (path, value) in [
            ("Content", "new"),
            ("Info.Type", "barcode"),
            ("Info.New.Deep", "x"),
            ("List.1.Id", "two"),
            ("List.2.Id", "three"),
            ("List.Name", "first"),
            ("Fresh.0.A", "1"),
            ("Fresh.1.A", "2"),
        ] {
            fields.set_at(path, value).unwrap();
        }
        assert_eq!(
            fields.to_json(),
            r#"{"Content":"new","MsgId":24000000000000001,"Info":{"Type":"barcode","Count":2,"New":{"Deep":"x"}},"#.to_owned()
                + r#""List":[{"Id":"1","Name":"first"},{"Id":"two"},{"Id":"three"}],"Fresh":[{"A":"1"},{"A":"2"}]}"#
        );
        for path in ["", ".", "a.", ".a", "List.9.Id", "a..b"] {
            assert!(fields.set_at(path, "x").is_err(), "{path:?}");
        }
        assert!(fields.remove("Info"));
        assert!(!fields.remove("Info"));
    }

    #[test]
    fn a_repeated_name_is_found() {
        assert_eq!(sample().repeated(), None);
        assert_eq!(sample().with("MsgId", "1").repeated(), Some("MsgId"));
    }
}
