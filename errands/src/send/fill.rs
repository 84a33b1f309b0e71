//! Texts and JSON with `{placeholders}` for the columns of a list.
//!
//! `{name}` is the column of that name, `{{` is a brace. Which columns are used is known before the list is read, so that
//! nothing else of it is kept, and a row without one of them is found before anything is sent.

use serde_json::{Map, Value};

/// The columns that are used, each once; a placeholder is a place in here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Columns(Vec<String>);

impl Columns {
    pub(super) fn names(&self) -> &[String] {
        &self.0
    }

    fn place(&mut self, name: &str) -> usize {
        let known = self.0.iter().position(|column| column == name);
        known.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }
}

/// JSON whose texts may have placeholders.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text(Vec<Part>),
    Object(Vec<(String, Form)>),
    Array(Vec<Form>),
    Other(Value),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Column(usize),
}

impl Form {
    /// Reads the placeholders of all texts in `value`; names of members have none.
    ///
    /// # Errors
    /// A brace without its partner, or nothing between the two.
    pub(super) fn read(value: Value, columns: &mut Columns) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(parts(&text, columns)?),
            Value::Object(members) => Self::Object(
                members
                    .into_iter()
                    .map(|(name, value)| Ok((name, Self::read(value, columns)?)))
                    .collect::<Result<_, String>>()?,
            ),
            Value::Array(elements) => Self::Array(
                elements
                    .into_iter()
                    .map(|value| Self::read(value, columns))
                    .collect::<Result<_, String>>()?,
            ),
            other => Self::Other(other),
        })
    }

    /// The JSON for one row; `values` has one for each column.
    pub(super) fn fill(&self, values: &[String]) -> Value {
        match self {
            Self::Text(parts) => Value::String(
                parts
                    .iter()
                    .map(|part| match part {
                        Part::Literal(text) => text.as_str(),
                        Part::Column(place) => values[*place].as_str(),
                    })
                    .collect(),
            ),
            Self::Object(members) => {
                let fill = |(name, form): &(String, Self)| (name.clone(), form.fill(values));
                Value::Object(members.iter().map(fill).collect::<Map<_, _>>())
            }
            Self::Array(elements) => elements.iter().map(|form| form.fill(values)).collect(),
            Self::Other(value) => value.clone(),
        }
    }
}

fn parts(text: &str, columns: &mut Columns) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        literal.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            literal.push('{');
            rest = after;
            continue;
        }
        let name = rest.split_once('}').map(|(name, _)| name.trim());
        let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('{')) else {
            return Err(format!(
                "in {text:?}: a placeholder is {{column}}, and {{{{ is a brace"
            ));
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Column(columns.place(name)));
        rest = rest.split_once('}').map_or("", |(_, after)| after);
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_fill_texts_wherever_they_are_and_stay_texts() {
        let mut columns = Columns::default();
        let form = json!({"a": {"value": "{n} of {m}, {n}"}, "b": ["{ m }", 5, "{{n}"]});
        let form = Form::read(form, &mut columns).unwrap();
        assert_eq!(columns.names(), ["n", "m"]);
        let filled = form.fill(&["\"x\\".to_owned(), "{n}".to_owned()]);
        let expected = json!({"a": {"value": "\"x\\ of {n}, \"x\\"}, "b": ["{n}", 5, "{n}"]});
        assert_eq!(filled, expected);
    }

    #[test]
    fn a_placeholder_that_is_none_is_an_error() {
        for text in ["{", "a{}", "{ }", "{a{b}", "{a"] {
            let read = Form::read(json!(text), &mut Columns::default());
            assert!(read.is_err(), "{text}");
        }
    }
}
