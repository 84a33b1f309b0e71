//! All headers of a request, asked for in one call: two single ones cost more.

use proxy_wasm::types::MapType;

use crate::abi::{Unreadable, bytes, proxy_get_header_map_pairs};

/// The headers of a request, as bytes.
#[derive(Debug)]
pub struct RequestHeaders(Vec<u8>);

impl RequestHeaders {
    /// Reads them. Only while the request's headers are held.
    ///
    /// # Errors
    /// When the host would not say all of them: none may be hidden by another. A map that may not be seen reads as an empty
    /// one, which a request's never is.
    pub fn read() -> Result<Self, Unreadable> {
        let map = MapType::HttpRequestHeaders as u32;
        // SAFETY: plain values.
        let read = bytes(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) });
        Self::of(read.map_err(|_| Unreadable)?)
    }

    fn of(map: Vec<u8>) -> Result<Self, Unreadable> {
        let (count, _) = number(&map).ok_or(Unreadable)?;
        let headers = Self(map);
        let whole = pairs(&headers.0).count() == count;
        (whole && headers.get(":path").is_some())
            .then_some(headers)
            .ok_or(Unreadable)
    }

    /// The first header of this name, which is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = |(known, _): &(&[u8], &[u8])| *known == name.as_bytes();
        pairs(&self.0).find(found).map(|(_, value)| value)
    }

    /// The same as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Unreadable> {
        let text = self.get(name).map(std::str::from_utf8);
        text.transpose().map_err(|_| Unreadable)
    }
}

/// Header pairs as the ABI serialises them; they end early where it is broken.
fn pairs(map: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let (count, rest) = number(map).unwrap_or((0, &[]));
    let (sizes, mut texts) = rest
        .split_at_checked(count.saturating_mul(8))
        .unwrap_or_default();
    let (sizes, _) = sizes.as_chunks::<8>();
    sizes.iter().map_while(move |sizes| {
        let (name, value) = number(sizes)?;
        let (value, _) = number(value)?;
        let name = take(&mut texts, name)?;
        Some((name, take(&mut texts, value)?))
    })
}

/// A text and the NUL behind it.
fn take<'a>(texts: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (text, rest) = texts.split_at_checked(size)?;
    *texts = rest.get(1..)?;
    Some(text)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::RequestHeaders;
    use crate::abi::pairs;

    #[test]
    fn what_is_serialised_is_found() {
        let map = pairs(&[(":path", "/a"), ("x", ""), ("twice", "1"), ("twice", "2")]);
        let headers = RequestHeaders(map);
        assert_eq!(headers.get(":path"), Some(&b"/a"[..]));
        assert_eq!(headers.get("x"), Some(&b""[..]));
        assert_eq!(headers.get("twice"), Some(&b"1"[..]));
        assert_eq!(headers.get("path"), None);
    }

    #[test]
    fn what_is_cut_or_broken_is_not_read() {
        let map = pairs(&[(":path", "/a"), ("x-weixin-openid", "oForged")]);
        assert!(RequestHeaders::of(map.clone()).is_ok());
        for end in 0..map.len() {
            let cut = map.get(..end).unwrap_or_default().to_vec();
            assert!(RequestHeaders::of(cut).is_err(), "{end}");
        }
        let mut one_more = map;
        if let Some(count) = one_more.first_mut() {
            *count += 1;
        }
        assert!(RequestHeaders::of(one_more).is_err());
        assert!(RequestHeaders::of(vec![0xff; 64]).is_err());
        assert!(RequestHeaders::of(pairs(&[("x", "1")])).is_err());
        assert!(RequestHeaders::of(vec![0; 4]).is_err());
    }

    #[test]
    fn what_is_no_text_is_not_read_as_one() {
        let mut map = pairs(&[("x", "?")]);
        let last = map.len() - 2;
        if let Some(byte) = map.get_mut(last) {
            *byte = 0xff;
        }
        let headers = RequestHeaders(map);
        assert!(headers.text("x").is_err());
        assert_eq!(headers.get("x"), Some(&b"\xff"[..]));
        assert!(matches!(headers.text("y"), Ok(None)));
    }
}
