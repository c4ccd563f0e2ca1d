//! `null` in the place of a list or map.

use serde::{Deserialize, Deserializer};

/// Takes `null` for an empty one: encoders of Go write that where nothing was set, and its decoders
/// take it.
pub(super) fn as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
