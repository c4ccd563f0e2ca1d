//! What the fuzz targets do with names and specifications.

use std::path::{Component, Path};

use creel_spawn::cgroup::{Cgroup, Hierarchy};
use creel_spawn::{Plan, Root};

use crate::lifecycle::{ContainerId, Ids, LifecycleError};
use crate::lower::{Options, lower};
use crate::spec::Spec;

/// The name of a container is one plain component of a path, or refused.
///
/// # Panics
/// Panics where that does not hold.
pub fn container_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(id) = ContainerId::parse(text) else { return };
    assert!(is_plain(Path::new(id.as_str()), 1) && id.as_str().len() < 256, "{text:?}");
    assert_eq!(id.as_str(), text);
}

/// The directory of a control group is below that of the hierarchy, or its name is refused.
///
/// # Panics
/// Panics where that does not hold.
pub fn cgroup_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(group) = Cgroup::existing(Hierarchy::V2("/none".into()), text) else { return };
    assert!(is_plain(Path::new(group.name()), usize::MAX), "{text:?}");
    assert!(!group.name().contains('\0'), "{text:?}");
}

fn is_plain(path: &Path, most: usize) -> bool {
    let count = path.components().count();
    path.components().all(|part| matches!(part, Component::Normal(_)))
        && (1..=most).contains(&count)
}

/// A user is the numbers that are written, or refused.
///
/// # Panics
/// Panics where that does not hold.
pub fn user(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(Ids { uid, gid }) = text.parse::<Ids>() else { return };
    let strip = |text: &str| match text.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let mut parts = text.split(':');
    assert_eq!(parts.next().map(strip), Some(uid.to_string()), "{text:?}");
    assert_eq!(parts.next().map_or_else(|| "0".into(), strip), gid.to_string(), "{text:?}");
    assert!(parts.next().is_none() && uid != u32::MAX && gid != u32::MAX, "{text:?}");
}

/// A specification is refused, by the name of a property, or has a plan that stays in its root.
///
/// # Panics
/// Panics where that does not hold.
pub fn specification(bytes: &[u8]) {
    let spec = match serde_json::from_slice::<Spec>(bytes) {
        Ok(spec) => spec,
        Err(error) => {
            let error = LifecycleError::document(Path::new("x"), bytes, error);
            assert!(error.to_string().len() < 100 + 4 * bytes.len());
            return;
        }
    };
    for in_user_namespace in [false, true] {
        let root = Some(Root::directory("/root"));
        let options = Options { in_user_namespace, root, ..Options::default() };
        match lower(&spec, &options) {
            Ok(plan) => check(&plan),
            Err(error) => assert!(error.to_string().contains('`'), "{error}"),
        }
    }
}

fn check(plan: &Plan) {
    // The steps are there, or a text that the kernel cannot take is what is wrong.
    let printed = plan.to_string();
    let refused = printed.contains("invalid: ");
    let stays = |path: &str| !path.split('/').any(|name| name == "..");
    assert!(refused || plan.mounts.iter().all(|mount| stays(&mount.target)), "{printed}");
    assert!(plan.devices.iter().all(|device| stays(&device.path)), "{printed}");
    assert!(plan.process.uid != u32::MAX && plan.process.gid != u32::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done with each file of a directory of seeds.
    fn replay(name: &str, target: fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
        let mut seen = 0;
        for seed in std::fs::read_dir(seeds).unwrap() {
            target(&std::fs::read(seed.unwrap().path()).unwrap());
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn seeds_hold() {
        replay("container_id", container_id);
        replay("cgroup_path", cgroup_path);
        replay("user", user);
        replay("runtime_spec", specification);
    }

    /// Every specification with one value less, more or other than a good one is refused or good.
    #[test]
    fn neighbours_of_a_good_specification_hold() {
        let good = serde_json::to_value(crate::defaults::bundle()).unwrap();
        let values = [
            serde_json::json!(null),
            serde_json::json!("../../x\0"),
            serde_json::json!(-1),
            serde_json::json!(4_294_967_295_u64),
            serde_json::json!(["a", {"type": "b"}]),
            serde_json::json!({"a": 1}),
        ];
        for pointer in pointers(&good) {
            for value in &values {
                let mut spec = good.clone();
                *spec.pointer_mut(&pointer).unwrap() = value.clone();
                specification(spec.to_string().as_bytes());
            }
        }
    }

    fn pointers(value: &serde_json::Value) -> Vec<String> {
        let below = |key: String, value| {
            let deeper = pointers(value).into_iter().map(move |rest| format!("/{key}{rest}"));
            deeper.collect::<Vec<_>>()
        };
        let mut found: Vec<String> = match value {
            serde_json::Value::Object(map) => {
                map.iter().flat_map(|(key, value)| below(key.clone(), value)).collect()
            }
            serde_json::Value::Array(items) => {
                let items = items.iter().enumerate();
                items.flat_map(|(index, value)| below(index.to_string(), value)).collect()
            }
            _ => Vec::new(),
        };
        found.push(String::new());
        found
    }
}
