//! The WWW-Authenticate header (RFC 9110 §11.6.1), read strictly.

/// Longest header value read, in bytes.
pub const MAX_HEADER: usize = 8 * 1024;
/// Most challenges, and most parameters of one.
pub const MAX_ITEMS: usize = 16;

/// One `scheme key="value", …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case.
    pub scheme: String,
    /// Parameter names in lower case, and values without their quotes.
    pub parameters: Vec<(String, String)>,
}

/// Why a header is not a list of challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseChallengeError {
    /// The header is too long or has too many parts.
    #[error("WWW-Authenticate exceeds its limits")]
    TooLong,
    /// A token was expected.
    #[error("WWW-Authenticate has no token where one is due")]
    NoToken,
    /// A quoted string does not end, or holds a control character.
    #[error("WWW-Authenticate has a malformed quoted string")]
    BadQuote,
    /// A parameter is given twice.
    #[error("WWW-Authenticate gives a parameter twice")]
    Duplicate,
}

impl Challenge {
    /// Returns a parameter by its lower-case name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads every challenge of one header value.
///
/// # Errors
///
/// Fails on anything that the grammar of RFC 9110 does not allow, and beyond [`MAX_HEADER`] and
/// [`MAX_ITEMS`].
pub fn parse(header: &str) -> Result<Vec<Challenge>, ParseChallengeError> {
    if header.len() > MAX_HEADER {
        return Err(ParseChallengeError::TooLong);
    }
    let mut input = Input(header);
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        input.skip_separators();
        if input.0.is_empty() {
            return Ok(challenges);
        }
        let token = input.token()?.to_ascii_lowercase();
        match (input.value()?, challenges.last_mut()) {
            (Some(value), Some(last)) => last.push(token, value)?,
            (Some(_), None) => return Err(ParseChallengeError::NoToken),
            (None, _) => {
                challenges.push(Challenge { scheme: token, parameters: Vec::new() });
                if challenges.len() > MAX_ITEMS {
                    return Err(ParseChallengeError::TooLong);
                }
                input.skip_token68();
            }
        }
    }
}

impl Challenge {
    fn push(&mut self, key: String, value: String) -> Result<(), ParseChallengeError> {
        if self.get(&key).is_some() {
            return Err(ParseChallengeError::Duplicate);
        }
        if self.parameters.len() >= MAX_ITEMS {
            return Err(ParseChallengeError::TooLong);
        }
        self.parameters.push((key, value));
        Ok(())
    }
}

struct Input<'a>(&'a str);

impl<'a> Input<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn skip_separators(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (head, tail) = self.0.split_at_checked(length).unwrap_or((self.0, ""));
        self.0 = tail;
        head
    }

    fn token(&mut self) -> Result<&'a str, ParseChallengeError> {
        let end = self.0.find(|c: char| !is_token(c)).unwrap_or(self.0.len());
        if end == 0 {
            return Err(ParseChallengeError::NoToken);
        }
        Ok(self.take(end))
    }

    /// Reads `= value` if it follows.
    fn value(&mut self) -> Result<Option<String>, ParseChallengeError> {
        let before = self.0;
        self.skip_space();
        let Some(rest) = self.0.strip_prefix('=') else {
            self.0 = before;
            return Ok(None);
        };
        self.0 = rest;
        self.skip_space();
        match self.0.strip_prefix('"') {
            Some(rest) => {
                self.0 = rest;
                self.quoted().map(Some)
            }
            None => self.token().map(|token| Some(token.to_owned())),
        }
    }

    fn quoted(&mut self) -> Result<String, ParseChallengeError> {
        let mut text = String::new();
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.take(at + 1);
                    return Ok(text);
                }
                '\\' => {
                    let (_, escaped) = chars.next().ok_or(ParseChallengeError::BadQuote)?;
                    text.push(escaped);
                }
                c if c.is_control() => return Err(ParseChallengeError::BadQuote),
                c => text.push(c),
            }
        }
        Err(ParseChallengeError::BadQuote)
    }

    /// Skips the token68 of schemes such as Negotiate, which creel does not speak.
    fn skip_token68(&mut self) {
        let mut ahead = Input(self.0);
        ahead.skip_space();
        let is_68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let end = ahead.0.find(|c: char| !is_68(c)).unwrap_or(ahead.0.len());
        ahead.take(end);
        ahead.0 = ahead.0.trim_start_matches('=');
        ahead.skip_space();
        if end > 0 && (ahead.0.is_empty() || ahead.0.starts_with(',')) {
            self.0 = ahead.0;
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Fuzz entry: reads any bytes as a header and checks the limits.
pub fn fuzz(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(challenges) = parse(text)
    {
        assert!(challenges.len() <= MAX_ITEMS);
        assert!(challenges.iter().all(|c| !c.scheme.is_empty() && c.parameters.len() <= MAX_ITEMS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_registries_send() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push", Basic realm="x\"y""#;
        let found = parse(header).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].get("scope"), Some("repository:a/b:pull,push"));
        assert_eq!((found[1].scheme.as_str(), found[1].get("realm")), ("basic", Some("x\"y")));
        assert_eq!(parse("Negotiate YWJj==, Basic realm = a").unwrap().len(), 2);
        assert_eq!(parse("Basic").unwrap()[0].parameters, []);
    }

    #[test]
    fn refuses_the_malformed() {
        for (header, error) in [
            ("realm=\"x\"", ParseChallengeError::NoToken),
            ("Bearer realm=\"x", ParseChallengeError::BadQuote),
            ("Bearer realm=\"x\\", ParseChallengeError::BadQuote),
            ("Bearer realm=\"\n\"", ParseChallengeError::BadQuote),
            ("Bearer realm=a,realm=b", ParseChallengeError::Duplicate),
            ("Bearer a=b,realm=", ParseChallengeError::NoToken),
            ("\"x\"", ParseChallengeError::NoToken),
        ] {
            assert_eq!(parse(header), Err(error), "{header}");
        }
        assert_eq!(parse(&"a,".repeat(17)), Err(ParseChallengeError::TooLong));
        assert_eq!(parse(&"a".repeat(9000)), Err(ParseChallengeError::TooLong));
    }
}
