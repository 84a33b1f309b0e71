//! A header map: an ordered list of lower-case names and raw bytes.
//!
//! Values may hold any byte the wire lets through, 0x80 and above included. Pseudo-headers (`:path` …) come first.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::abi::Pairs;

/// Headers or trailers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(Pairs);

impl Headers {
    pub(crate) fn from_pairs(pairs: Pairs) -> Self {
        let mut headers = Self::default();
        for (name, value) in pairs {
            headers.add(&name, &value);
        }
        headers
    }

    /// Reads regular headers; pseudo-headers are the caller's.
    pub(crate) fn from_http(map: &HeaderMap) -> Self {
        Self(
            map.iter()
                .map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
        )
    }

    /// The regular headers, for the wire. What cannot be written is left out.
    pub(crate) fn to_http(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            if name.starts_with(b":") {
                continue;
            }
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Names and values in bytes, as Envoy counts them.
    pub(crate) fn byte_size(&self) -> usize {
        self.0.iter().map(|(n, v)| n.len() + v.len()).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.0.iter().map(|(n, v)| (n.as_slice(), v.as_slice()))
    }

    /// The first value of this name.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let mut entries = self.0.iter();
        let entry = entries.find(|(held, _)| held.eq_ignore_ascii_case(name))?;
        Some(&entry.1)
    }

    pub(crate) fn get_text(&self, name: &str) -> Option<String> {
        let value = self.get(name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// Adds a value, beside those that are there. A pseudo-header goes before the regular ones.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        let entry = (name.to_ascii_lowercase(), value.to_vec());
        if name.starts_with(b":") {
            let regular = self.0.iter().position(|(held, _)| !held.starts_with(b":"));
            self.0.insert(regular.unwrap_or(self.0.len()), entry);
        } else {
            self.0.push(entry);
        }
    }

    /// Sets the one value of this name.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        let Some(index) = self
            .0
            .iter()
            .position(|(held, _)| held.eq_ignore_ascii_case(name))
        else {
            return self.add(name, value);
        };
        self.0[index].1 = value.to_vec();
        let mut seen = false;
        self.0.retain(|(held, _)| {
            let same = held.eq_ignore_ascii_case(name);
            let first = same && !seen;
            seen |= same;
            !same || first
        });
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.0.retain(|(held, _)| !held.eq_ignore_ascii_case(name));
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let pairs = pairs.iter();
        Headers::from_pairs(
            pairs
                .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
                .collect(),
        )
    }

    #[test]
    fn the_first_value_is_found_whatever_the_case_of_the_name() {
        let map = headers(&[("X-A", "1"), ("x-a", "2")]);
        assert_eq!(map.get(b"x-A"), Some(&b"1"[..]));
    }

    #[test]
    fn setting_leaves_one_value_in_the_place_of_the_first() {
        let mut map = headers(&[("a", "1"), ("b", "2"), ("a", "3")]);
        map.set(b"A", b"4");
        assert_eq!(map, headers(&[("a", "4"), ("b", "2")]));
        map.set(b"c", b"5");
        assert_eq!(map, headers(&[("a", "4"), ("b", "2"), ("c", "5")]));
    }

    #[test]
    fn pseudo_headers_stay_in_front() {
        let mut map = headers(&[(":method", "GET"), ("a", "1")]);
        map.add(b":path", b"/");
        assert_eq!(
            map,
            headers(&[(":method", "GET"), (":path", "/"), ("a", "1")])
        );
    }
}
