//! Values that stand in JSON as their text.

use core::fmt::Display;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// Object ids, which have no prefix.
pub(super) mod list {
    use creel_base::digest::ObjectId;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        ids: &[ObjectId],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(ids.iter().map(ObjectId::hex))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<ObjectId>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let read = |text: &String| ObjectId::from_hex(text);
        texts
            .iter()
            .map(read)
            .collect::<Option<_>>()
            .ok_or_else(|| D::Error::custom("object id is not 64 hex digits"))
    }
}
