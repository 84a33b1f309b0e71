//! What of a request matters.

/// The headers of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:path`, with the query. May hold a code: never log it.
    pub target: &'a str,
    /// `authorization`.
    pub authorization: Option<&'a str>,
    /// `cookie`; of several, the host gives one.
    pub cookie: Option<&'a str>,
    /// `accept`.
    pub accept: Option<&'a str>,
    /// Whether that is all of the request.
    pub ends: bool,
}

impl<'a> Head<'a> {
    pub(crate) fn path(&self) -> &'a str {
        let (path, _) = self.target.split_once('?').unwrap_or((self.target, ""));
        path
    }

    /// A parameter of the query. One that is there twice is not there: two readers could see two things.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        let (_, value) = found.next()?;
        found.next().is_none().then(|| value.into_owned())
    }

    /// The values of a cookie; there may be several of one name, of several paths.
    pub(crate) fn cookies(&self, name: String) -> impl Iterator<Item = &'a str> + use<'a> {
        let pairs = self.cookie.unwrap_or_default().split(';');
        pairs.filter_map(move |pair| pair.trim().strip_prefix(name.as_str())?.strip_prefix('='))
    }

    pub(crate) fn bearer(&self) -> Option<&'a str> {
        let (scheme, token) = self.authorization?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    }

    /// Whether somebody looks at a page, and can be sent elsewhere and back.
    pub(crate) fn is_a_visit(&self) -> bool {
        self.method == "GET"
            && self
                .accept
                .is_none_or(|accept| accept.contains("text/html"))
    }
}

#[cfg(test)]
mod tests {
    use super::Head;

    #[test]
    fn parameters_and_cookies_are_found_by_their_whole_name() {
        let head = Head {
            target: "/back?code=a%2Fb&state=s&xstate=t&twice=1&twice=2",
            cookie: Some("a=1; ab=2;a=3 ; b"),
            authorization: Some("bearer  token "),
            ..Head::default()
        };
        assert_eq!(head.path(), "/back");
        assert_eq!(head.parameter("code").as_deref(), Some("a/b"));
        assert_eq!(head.parameter("state").as_deref(), Some("s"));
        assert_eq!(head.parameter("twice"), None);
        assert_eq!(head.cookies("a".to_owned()).collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(head.cookies("b".to_owned()).count(), 0);
        assert_eq!(head.bearer(), Some("token"));
    }
}
