//! Manifests, configs and tags.

use creel_base::digest::{Digest, Hasher};
use creel_base::media_type::{ACCEPTED_MANIFESTS, MediaType};
use serde::Deserialize;

use super::Repository;
use super::exchange::{Call, Content, read_document};
use crate::error::Error;
use crate::http::{Method, Response};

/// Largest manifest or index, in bytes (distribution specification, "pushing manifests").
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Largest config blob, in bytes.
pub const MAX_CONFIG: u64 = 8 << 20;

/// A manifest or index exactly as the registry has it.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The bytes; their hash is `digest`.
    pub bytes: Vec<u8>,
    /// What kind of document it is.
    pub media_type: MediaType,
    /// The digest.
    pub digest: Digest,
}

impl Repository {
    /// Fetches a manifest by tag or digest.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownImage`], [`Error::WrongDigest`], [`Error::AmbiguousManifest`],
    /// [`Error::TooBig`], and those of the exchange.
    pub fn manifest(&self, selector: &str) -> Result<Manifest, Error> {
        let call = self.manifest_call(Method::Get, selector)?;
        // A body that breaks half-way is asked for again, as a whole: it is small.
        let mut attempt = 0;
        loop {
            let mut response = self.found(&call, selector)?;
            let read = read_document(&mut response, call.url.authority(), "manifest", MAX_MANIFEST);
            match read {
                Err(e) if e.is_transient() && attempt < self.client.0.config.retry.attempts => {
                    self.pause(attempt, None);
                    attempt += 1;
                }
                bytes => return check(selector, &response, bytes?),
            }
        }
    }

    /// Asks for a tag's digest without fetching (HEAD, which Docker Hub does not count); `None` when
    /// the registry does not say, and a GET is needed.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownImage`] and those of the exchange.
    pub fn resolve(&self, selector: &str) -> Result<Option<Digest>, Error> {
        let call = self.manifest_call(Method::Head, selector)?;
        let response = self.found(&call, selector)?;
        Ok(response.header("docker-content-digest").and_then(|digest| digest.parse().ok()))
    }

    /// Stores a manifest under a tag or its digest, byte for byte.
    ///
    /// # Errors
    ///
    /// Those of the exchange.
    pub fn put_manifest(
        &self,
        selector: &str,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let url = self.url(&format!("manifests/{selector}"))?;
        let call = Call::new(Method::Put, url, self.push_scope(), "a manifest upload")
            .header("content-type", media_type.as_str())
            .content(Content::Bytes(bytes));
        self.expect(&call, &[200, 201, 202]).map(drop)
    }

    /// Deletes a manifest by digest or tag.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownImage`] and those of the exchange.
    pub fn delete_manifest(&self, selector: &str) -> Result<(), Error> {
        let url = self.url(&format!("manifests/{selector}"))?;
        let scope = format!("repository:{}:delete,pull", self.name);
        let call = Call::new(Method::Delete, url, scope, "a deletion");
        let response = self.send(&call)?;
        match response.status {
            200 | 202 => Ok(()),
            404 => Err(self.unknown(selector)),
            _ => Err(self.refusal(&call, response)),
        }
    }

    /// Lists tags, at most 100,000.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownImage`] when there is no such repository, and those of the exchange.
    pub fn tags(&self) -> Result<Vec<String>, Error> {
        const MAX_TAGS: usize = 100_000;
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut url = self.url("tags/list")?;
        let mut tags = Vec::new();
        loop {
            let call = Call::new(Method::Get, url.clone(), self.pull_scope(), "a list of tags");
            let mut response = self.found(&call, "tags")?;
            let host = url.authority().to_owned();
            let bytes = read_document(&mut response, &host, "tag list", MAX_MANIFEST)?;
            let page: Page = serde_json::from_slice(&bytes)
                .map_err(|e| Error::Protocol { host: host.clone(), reason: e.to_string() })?;
            let page = page.tags.unwrap_or_default();
            let last_page = page.is_empty();
            tags.extend(page);
            if tags.len() > MAX_TAGS {
                return Err(Error::TooBig { host, what: "tag list", limit: MAX_TAGS as u64 });
            }
            let next = response.header("link").and_then(next_link).and_then(|next| url.join(next));
            match next {
                Some(next) if !last_page && next.same_origin(&url) => url = next,
                _ => return Ok(tags),
            }
        }
    }

    fn manifest_call(&self, method: Method, selector: &str) -> Result<Call<'static>, Error> {
        let url = self.url(&format!("manifests/{selector}"))?;
        let accept: Vec<&str> = ACCEPTED_MANIFESTS.iter().map(MediaType::as_str).collect();
        let call = Call::new(method, url, self.pull_scope(), "a manifest request");
        Ok(call.header("accept", accept.join(", ")))
    }

    fn found(&self, call: &Call<'_>, selector: &str) -> Result<Response, Error> {
        let response = self.send(call)?;
        match response.status {
            200 => Ok(response),
            404 => Err(self.unknown(selector)),
            _ => Err(self.refusal(call, response)),
        }
    }

    fn unknown(&self, selector: &str) -> Error {
        let separator = if selector.contains(':') { '@' } else { ':' };
        let image = format!("{}{separator}{selector}", self.name);
        Error::UnknownImage { registry: self.registry.clone(), image }
    }
}

fn next_link(header: &str) -> Option<&str> {
    let (target, rest) = header.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then_some(target)
}

fn check(selector: &str, response: &Response, bytes: Vec<u8>) -> Result<Manifest, Error> {
    let digest = match selector.parse::<Digest>() {
        Ok(expected) => {
            let mut hasher = Hasher::new(expected.algorithm());
            hasher.update(&bytes);
            let (found, size) = (hasher.finish(), bytes.len() as u64);
            if found != expected {
                let (expected, found) = (expected.into(), found.into());
                return Err(Error::WrongDigest { expected, found, size });
            }
            expected
        }
        Err(_) => Digest::sha256(&bytes),
    };
    let header = response.header("content-type").map(MediaType::from_content_type);
    let media_type = classify(&bytes, header.as_ref())
        .map_err(|reason| Error::AmbiguousManifest { digest, reason })?;
    Ok(Manifest { bytes, media_type, digest })
}

/// Decides what a document is, and refuses one that could be two things (CVE-2021-41190).
fn classify(bytes: &[u8], header: Option<&MediaType>) -> Result<MediaType, &'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = serde_json::from_slice(bytes).map_err(|_| "it is not a JSON object")?;
    let image = shape.layers.is_some() || shape.config.is_some();
    if image && shape.manifests.is_some() {
        return Err("it is both an index and an image");
    }
    let embedded = shape.media_type.as_deref().map(MediaType::new);
    let kind = |t: &MediaType| matches!(t, MediaType::Manifest(_) | MediaType::Index(_));
    if let (Some(inside), Some(outside)) = (&embedded, header)
        && kind(outside)
        && inside != outside
    {
        return Err("its mediaType is not its Content-Type");
    }
    let media_type = embedded.or_else(|| header.cloned()).ok_or("it has no media type")?;
    match media_type {
        MediaType::Manifest(_) if shape.manifests.is_some() => Err("an image that lists manifests"),
        MediaType::Index(_) if image => Err("an index that has layers"),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_one_thing_only() {
        let manifest = MediaType::new("application/vnd.oci.image.manifest.v1+json");
        let index = MediaType::new("application/vnd.oci.image.index.v1+json");
        for (json, header, accepted) in [
            (r#"{"config":{},"layers":[]}"#, &manifest, true),
            (r#"{"manifests":[]}"#, &index, true),
            (r#"{"manifests":[],"layers":[]}"#, &index, false),
            (r#"{"manifests":[],"config":{}}"#, &manifest, false),
            (r#"{"manifests":[]}"#, &manifest, false),
            (r#"{"layers":[]}"#, &index, false),
            (r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#, &manifest, false),
            ("[]", &manifest, false),
            ("", &manifest, false),
        ] {
            assert_eq!(classify(json.as_bytes(), Some(header)).is_ok(), accepted, "{json}");
        }
    }
}
