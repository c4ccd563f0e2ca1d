//! Properties of the specification that this runtime does not act on yet: a container that asks for
//! one is refused, as it would be confined or set up less than its maker believes.

use serde_json::Value;

/// By JSON pointer (RFC 6901).
const PROPERTIES: [&str; 27] = [
    "/hooks/prestart",
    "/hooks/createRuntime",
    "/hooks/createContainer",
    "/hooks/startContainer",
    "/hooks/poststart",
    "/hooks/poststop",
    "/process/apparmorProfile",
    "/process/selinuxLabel",
    "/process/scheduler",
    "/process/ioPriority",
    "/process/execCPUAffinity",
    "/linux/mountLabel",
    "/linux/intelRdt",
    "/linux/personality",
    "/linux/timeOffsets",
    "/linux/netDevices",
    "/linux/memoryPolicy",
    "/linux/resources/blockIO",
    "/linux/resources/hugepageLimits",
    "/linux/resources/network",
    "/linux/resources/rdma",
    "/linux/resources/unified",
    "/linux/resources/memory/reservation",
    "/linux/resources/memory/swap",
    "/linux/resources/cpu/shares",
    "/linux/resources/cpu/cpus",
    "/linux/resources/cpu/mems",
];

/// The first such property that says something.
pub(super) fn find(spec: &Value) -> Option<String> {
    let says = |pointer: &&str| spec.pointer(pointer).is_some_and(says_something);
    let name = |pointer: &str| pointer.trim_start_matches('/').replace('/', ".");
    PROPERTIES.into_iter().find(says).map(name)
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
            (
                r#"{"hooks": {"prestart": []}, "linux": {"resources": {"blockIO": {"x": null}}}}"#,
                None,
            ),
            (r#"{"hooks": {"poststop": [{"path": "/x"}]}}"#, Some("hooks.poststop")),
            (
                r#"{"linux": {"resources": {"cpu": {"shares": 2}}}}"#,
                Some("linux.resources.cpu.shares"),
            ),
        ] {
            let spec = serde_json::from_str(json).unwrap();
            assert_eq!(find(&spec).as_deref(), found, "{json}");
        }
    }
}
