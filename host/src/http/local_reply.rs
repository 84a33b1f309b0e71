//! An answer that the host makes itself, for a filter or on its own account.

use super::headers::Headers;

/// An answer without an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalReply {
    /// The status.
    pub(crate) status: u16,
    /// What is added to the headers.
    pub(crate) headers: Headers,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// Who answered and why: the property `response.code_details`.
    pub(crate) details: String,
}

impl LocalReply {
    pub(crate) fn new(status: u16, body: &str, details: &str) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body: body.as_bytes().to_vec(),
            details: details.to_owned(),
        }
    }

    /// The headers as they enter the response filters. The length is always the body's, whatever was asked for;
    /// the type is `text/plain` unless another was asked for; without a body there is neither.
    pub(crate) fn response_headers(&self) -> Headers {
        let mut headers = Headers::default();
        headers.add(b":status", self.status.to_string().as_bytes());
        for (name, value) in self.headers.iter() {
            if !name.starts_with(b":") {
                headers.add(name, value);
            }
        }
        if self.body.is_empty() {
            headers.remove(b"content-length");
            headers.remove(b"content-type");
        } else {
            headers.set(b"content-length", self.body.len().to_string().as_bytes());
            if headers.get(b"content-type").is_none() {
                headers.add(b"content-type", b"text/plain");
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_of(body: &str, asked: &[(&str, &str)]) -> Vec<String> {
        let mut reply = LocalReply::new(200, body, "");
        for (name, value) in asked {
            reply.headers.add(name.as_bytes(), value.as_bytes());
        }
        let headers = reply.response_headers();
        headers
            .iter()
            .map(|(n, v)| format!("{}={}", n.escape_ascii(), v.escape_ascii()))
            .collect()
    }

    #[test]
    fn the_length_is_the_bodys_and_the_type_is_plain_unless_given() {
        let asked = [("content-length", "99"), ("x", "1"), ("x", "2")];
        assert_eq!(
            headers_of("hello", &asked),
            [
                ":status=200",
                "content-length=5",
                "x=1",
                "x=2",
                "content-type=text/plain"
            ]
        );
        assert_eq!(
            headers_of("<a/>", &[("content-type", "text/xml")]),
            [":status=200", "content-type=text/xml", "content-length=4"]
        );
        assert_eq!(headers_of("", &asked[..1]), [":status=200"]);
    }
}
