//! `hooks` of `config.md`, "POSIX-platform Hooks".

use serde::{Deserialize, Serialize};

use super::null;

/// Programs that are run at moments of a container's life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Before `createRuntime`; deprecated.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub prestart: Vec<Hook>,
    /// While it is made, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub create_runtime: Vec<Hook>,
    /// While it is made, in the container's namespaces and with the runtime's root.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub create_container: Vec<Hook>,
    /// Before its program, in the container.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub start_container: Vec<Hook>,
    /// After its program was started, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub poststart: Vec<Hook>,
    /// After it was deleted, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub poststop: Vec<Hook>,
}

impl Hooks {
    /// All of them in the order of their moments, with the names of those.
    #[must_use]
    pub fn by_moment(&self) -> [(&'static str, &[Hook]); 6] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("createContainer", &self.create_container),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }
}

/// A program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hook {
    /// Its absolute path.
    pub path: String,
    /// Arguments, the first being the name.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub args: Vec<String>,
    /// Environment as `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub env: Vec<String>,
    /// How many seconds it may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}
