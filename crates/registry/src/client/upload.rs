//! Pushing blobs: a look whether it is there, a mount, else one streamed PUT.

use std::io::{self, Read};

use creel_base::digest::Digest;

use super::Repository;
use super::exchange::{Call, Content};
use crate::error::Error;
use crate::http::{Method, Response};
use crate::url::Url;

/// How a blob came to be at the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Sent,
}

impl Repository {
    /// Whether the registry has a blob in this repository.
    ///
    /// # Errors
    ///
    /// Those of the exchange.
    pub fn has_blob(&self, digest: Digest) -> Result<bool, Error> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let call = Call::new(Method::Head, url, self.push_scope(), "a blob look-up");
        let response = self.send(&call)?;
        match response.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(self.refusal(&call, response)),
        }
    }

    /// Returns the size of a blob in this repository; `None` where it is not there, or the registry
    /// does not say.
    ///
    /// # Errors
    ///
    /// Those of the exchange.
    pub fn blob_size(&self, digest: Digest) -> Result<Option<u64>, Error> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let call = Call::new(Method::Head, url, self.push_scope(), "a blob look-up");
        let response = self.send(&call)?;
        match response.status {
            200 => Ok(response.header("content-length").and_then(|length| length.parse().ok())),
            404 => Ok(None),
            _ => Err(self.refusal(&call, response)),
        }
    }

    /// Asks the registry to take a blob from another of its repositories; returns whether it did.
    ///
    /// # Errors
    ///
    /// Those of the exchange.
    pub fn mount_blob(&self, digest: Digest, from: &str) -> Result<bool, Error> {
        let (call, response) = self.start_upload(digest, Some(from))?;
        if response.status == 201 {
            return Ok(true);
        }
        // It began an upload instead, which is not wanted; one that is left behind expires.
        if let Ok(url) = location(&call, &response) {
            let call = Call::new(Method::Delete, url, self.push_scope(), "the end of an upload");
            let _ = self.send(&call);
        }
        Ok(false)
    }

    /// Brings a blob of `size` bytes to the registry.
    ///
    /// `from` names another repository of the same registry that may have it. `open` gives the
    /// bytes; it is called again for each attempt.
    ///
    /// # Errors
    ///
    /// [`Error::ReadUpload`] when `open` fails, and those of the exchange.
    pub fn push_blob(
        &self,
        digest: Digest,
        size: u64,
        from: Option<&str>,
        open: &dyn Fn() -> io::Result<Box<dyn Read + Send>>,
    ) -> Result<Pushed, Error> {
        if self.has_blob(digest)? {
            return Ok(Pushed::Present);
        }
        let policy = self.client.0.config.retry;
        let mut attempt = 0;
        loop {
            let (call, response) = self.start_upload(digest, from)?;
            if response.status == 201 {
                return Ok(Pushed::Mounted);
            }
            let url = location(&call, &response)?.with_query("digest", &digest.to_string());
            let call = Call::new(Method::Put, url, self.push_scope(), "a blob upload")
                .header("content-type", "application/octet-stream")
                .content(Content::Open { open, length: size });
            match self.expect(&call, &[201, 204]) {
                Ok(_) => return Ok(Pushed::Sent),
                // A session that lost bytes is gone with them: start anew.
                Err(Error::Status { status: 404 | 416, .. }) if attempt < policy.attempts => {
                    self.pause(attempt, None);
                }
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    fn start_upload(
        &self,
        digest: Digest,
        from: Option<&str>,
    ) -> Result<(Call<'static>, Response), Error> {
        let mut url = self.url("blobs/uploads/")?;
        if let Some(from) = from {
            url = url.with_query("mount", &digest.to_string()).with_query("from", from);
        }
        let call = Call::new(Method::Post, url, self.push_scope(), "the start of an upload");
        let response = self.expect(&call, &[201, 202])?;
        Ok((call, response))
    }
}

/// Where the bytes go. Another origin is allowed (storage behind the registry) and gets no
/// credentials; the clear is not, where the registry itself is spoken to by TLS.
fn location(call: &Call<'_>, response: &Response) -> Result<Url, Error> {
    let host = || call.url.authority().to_owned();
    let location = response.header("location").and_then(|location| call.url.join(location));
    let location = location.ok_or_else(|| Error::Protocol {
        host: host(),
        reason: "the upload has no usable Location".to_owned(),
    })?;
    if call.url.is_downgrade(&location) {
        return Err(Error::Redirect { host: host(), reason: "from https to http" });
    }
    Ok(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_does_not_leave_tls() {
        for (from, location, accepted) in [
            ("https://r.io/v2/", "https://cdn.io/x", true),
            ("https://r.io/v2/", "/x", true),
            ("https://r.io/v2/", "http://r.io/x", false),
            ("http://r.io/v2/", "http://r.io/x", true),
            ("https://r.io/v2/", "ftp://r.io/x", false),
        ] {
            let call = Call::new(Method::Post, Url::parse(from).unwrap(), String::new(), "x");
            let headers = vec![("location".to_owned(), location.to_owned())];
            let response = Response { status: 202, headers, body: Box::new(io::empty()) };
            assert_eq!(super::location(&call, &response).is_ok(), accepted, "{from} {location}");
        }
    }
}
