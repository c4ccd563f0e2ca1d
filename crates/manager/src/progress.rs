//! What those who wait are told.

use creel_base::digest::Digest;

/// Hears of what long operations do. Called from several threads.
pub trait Progress: Sync {
    /// Something has happened.
    fn event(&self, event: &Event);
}

/// What has happened. Layers go by the digest by which they are transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What the source calls the image is no name.
    NoName {
        /// What it is called.
        text: String,
        /// There is no other name: the image has an id only.
        only: bool,
    },
    /// A layer has to be transferred.
    Begun {
        /// The layer.
        layer: Digest,
        /// How many bytes it has; 0 where nobody knows.
        size: u64,
    },
    /// A layer is transferred by another process, which is waited for.
    Waiting {
        /// The layer.
        layer: Digest,
    },
    /// Bytes of a layer have been transferred, or were there from an earlier attempt.
    Advanced {
        /// The layer.
        layer: Digest,
        /// How many more.
        bytes: u64,
    },
    /// A layer is transferred anew, from its first byte.
    Restarted {
        /// The layer.
        layer: Digest,
    },
    /// A layer is where it was to be.
    Ended {
        /// The layer.
        layer: Digest,
        /// How that came.
        how: Transfer,
    },
}

/// How a layer came to be where it was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// It was there.
    Known,
    /// The registry had it elsewhere.
    Mounted,
    /// It was transferred.
    Done,
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: &Event) {}
}
