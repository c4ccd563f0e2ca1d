//! The little of RFC 3986 that a registry client needs.

use std::fmt;

/// An absolute http or https URL without user info or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    authority: String,
    /// Starts with `/`, query included.
    path: String,
}

/// How a host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Longest URL accepted, in bytes: signed storage URLs reach 2 KiB.
const MAX_URL: usize = 16 * 1024;

impl Url {
    /// Builds a URL out of its parts; `path` starts with `/`.
    pub fn new(scheme: Scheme, authority: &str, path: &str) -> Self {
        Self { scheme, authority: authority.to_ascii_lowercase(), path: path.to_owned() }
    }

    /// Reads an absolute URL; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://")? {
            (scheme, rest) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            (scheme, rest) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            _ => return None,
        };
        let clean = text.len() <= MAX_URL && text.bytes().all(|b| (0x21..0x7f).contains(&b));
        let rest = rest.split('#').next()?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // User info would be credentials of the server's choosing.
        if !clean || authority.is_empty() || authority.contains(['@', '\\']) {
            return None;
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { scheme, authority: authority.to_ascii_lowercase(), path })
    }

    /// Resolves a Location header against this URL.
    pub fn join(&self, location: &str) -> Option<Self> {
        if location.contains("://") && !location.starts_with(['/', '?']) {
            return Self::parse(location);
        }
        let own = self.path.split('?').next().unwrap_or("/");
        let text = if location.starts_with("//") {
            format!("{}:{location}", self.scheme.name())
        } else if location.starts_with('/') {
            format!("{}{location}", self.origin())
        } else if location.starts_with('?') {
            format!("{}{own}{location}", self.origin())
        } else {
            let directory = own.rfind('/').and_then(|at| own.get(..=at)).unwrap_or("/");
            format!("{}{directory}{location}", self.origin())
        };
        Self::parse(&text)
    }

    /// Adds a query parameter, percent-encoding its value.
    pub fn with_query(mut self, key: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(key);
        self.path.push('=');
        self.path.push_str(&encode(value));
        self
    }

    /// Returns the scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns host and port as written.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the host without the port.
    pub fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// Returns scheme and authority.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority)
    }

    /// Whether both URLs lead to the same scheme, host and port.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.full_authority() == other.full_authority()
    }

    /// Whether going on from here to `next` would leave TLS.
    pub fn is_downgrade(&self, next: &Self) -> bool {
        self.scheme == Scheme::Https && next.scheme == Scheme::Http
    }

    fn full_authority(&self) -> String {
        if self.host().len() == self.authority.len() {
            let port = if self.scheme == Scheme::Https { 443 } else { 80 };
            format!("{}:{port}", self.authority)
        } else {
            self.authority.clone()
        }
    }
}

impl Scheme {
    /// Returns `http` or `https`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority, self.path)
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986 §2.3.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_locations() {
        let base = Url::parse("https://r.example/v2/a/blobs/uploads/?x=1").unwrap();
        for (location, expected) in [
            ("/v2/x?s=1", "https://r.example/v2/x?s=1"),
            ("//cdn.example/y", "https://cdn.example/y"),
            ("http://h:5000", "http://h:5000/"),
            ("uuid", "https://r.example/v2/a/blobs/uploads/uuid"),
            ("?q", "https://r.example/v2/a/blobs/uploads/?q"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), expected);
        }
        for bad in ["ftp://x/", "https://user:pw@x/", "http://", "https://x/\u{7f}", "https://a b/"]
        {
            assert_eq!(base.join(bad), None, "{bad}");
        }
    }

    #[test]
    fn default_ports_are_the_same_origin() {
        let one = Url::parse("https://R.example/").unwrap();
        assert!(one.same_origin(&Url::parse("https://r.example:443/x").unwrap()));
        assert!(!one.same_origin(&Url::parse("https://r.example:444/x").unwrap()));
        assert!(!one.same_origin(&Url::parse("http://r.example/x").unwrap()));
    }
}
