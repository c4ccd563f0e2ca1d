//! What this machine offers to containers, what each lack costs, and the command that mends it.
//!
//! Reads `/proc`, `/sys`, `/etc/subuid` and `/etc/subgid`; changes nothing.

mod cgroups;
mod filesystems;
mod kernel;
mod kvm;
mod users;

use serde::Serialize;

/// How much a finding hurts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is lost.
    Good,
    /// Works, but slower or with less.
    Limited,
    /// Containers cannot run.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub topic: &'static str,
    /// How much it hurts.
    pub severity: Severity,
    /// What there is.
    pub found: String,
    /// What the lack costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// What mends it: a command where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn good(topic: &'static str, found: impl Into<String>) -> Self {
        Self { topic, severity: Severity::Good, found: found.into(), cost: None, mend: None }
    }

    fn limited(topic: &'static str, found: impl Into<String>) -> Self {
        Self { severity: Severity::Limited, ..Self::good(topic, found) }
    }

    fn missing(topic: &'static str, found: impl Into<String>) -> Self {
        Self { severity: Severity::Missing, ..Self::good(topic, found) }
    }

    fn costs(self, cost: impl Into<String>) -> Self {
        Self { cost: Some(cost.into()), ..self }
    }

    fn mended_by(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }
}

/// Looks at everything, in the order of how much depends on it.
pub fn examine() -> Vec<Finding> {
    vec![
        kernel::examine(),
        users::namespaces(),
        users::subordinate_ids(),
        cgroups::examine(),
        filesystems::overlay(),
        filesystems::erofs(),
        filesystems::fuse(),
        kvm::examine(),
    ]
}
