//! Properties of the specification that this runtime does not act on yet: a container that asks for
//! one is refused, as it would be confined or set up less than its maker believes.

use serde_json::Value;

/// By JSON pointer (RFC 6901).
const PROPERTIES: &[&str] = &["/linux/intelRdt", "/linux/netDevices"];

/// The first such property that says something.
pub(super) fn find(spec: &Value) -> Option<String> {
    let says = |pointer: &&str| spec.pointer(pointer).is_some_and(says_something);
    let name = |pointer: &str| pointer.trim_start_matches('/').replace('/', ".");
    PROPERTIES.iter().copied().find(says).map(name)
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => map.values().any(says_something),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_no_obstacle() {
        for (json, found) in [
            (r#"{"linux": {"intelRdt": {"x": null}}}"#, None),
            (r#"{"linux": {"netDevices": {"a": {"name": "b"}}}}"#, Some("linux.netDevices")),
            (r#"{"linux": {"intelRdt": {"closID": "x"}}}"#, Some("linux.intelRdt")),
        ] {
            let spec = serde_json::from_str(json).unwrap();
            assert_eq!(find(&spec).as_deref(), found, "{json}");
        }
    }
}
