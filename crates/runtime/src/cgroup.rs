//! Control groups from a specification's `linux.resources`.

use creel_base::hint::Hint;
use creel_spawn::cgroup::{Access, Cgroup, CgroupError, DeviceRule, Devices, Hierarchy, Limits};

use crate::lower::{LowerError, value};
use crate::spec::{self, Resources};

/// Why a container has no control group.
#[derive(Debug, thiserror::Error)]
pub enum ResourcesError {
    /// A property has a wrong value.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The kernel refuses.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
}

impl Hint for ResourcesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Lower(error) => error.hint(),
            Self::Cgroup(error) => error.hint(),
        }
    }
}

/// Makes a group with the limits and the device rules of a specification; nothing remains of it
/// after an error.
///
/// # Errors
/// Names the property that is wrong, or says what the kernel refuses.
pub fn create(
    hierarchy: Hierarchy,
    name: &str,
    resources: &Resources,
) -> Result<Cgroup, ResourcesError> {
    let (limits, rules) = (limits(resources)?, device_rules(&resources.devices)?);
    let group = Cgroup::create(hierarchy, name)?;
    if let Err(error) = group.limit(&limits).and_then(|()| group.allow_devices(&rules)) {
        // The first error says more.
        let _ = group.remove();
        return Err(error.into());
    }
    Ok(group)
}

/// The limits of a specification that creel sets: memory, processor time, processes.
///
/// # Errors
/// Names a property that is no limit.
pub fn limits(resources: &Resources) -> Result<Limits, LowerError> {
    let limit = |field: &str, limit: Option<i64>| match limit {
        None | Some(-1) => Ok(None),
        Some(limit) => u64::try_from(limit).map(Some).map_err(|_| {
            value(format!("linux.resources.{field}"), limit, "-1 or a number from 0 on")
        }),
    };
    let cpu = resources.cpu.as_ref();
    let quota = limit("cpu.quota", cpu.and_then(|cpu| cpu.quota))?;
    let period = cpu.and_then(|cpu| cpu.period).unwrap_or(PERIOD);
    Ok(Limits {
        memory: limit("memory.limit", resources.memory.and_then(|memory| memory.limit))?,
        cpu: quota.map(|quota| (quota, period)),
        pids: limit("pids.limit", resources.pids.and_then(|pids| pids.limit))?,
    })
}

/// The kernel's own period of processor time, in microseconds.
const PERIOD: u64 = 100_000;

/// The device rules of a specification.
///
/// # Errors
/// Names a property that is no part of a rule.
pub fn device_rules(rules: &[spec::DeviceRule]) -> Result<Vec<DeviceRule>, LowerError> {
    rules.iter().enumerate().map(|(index, rule)| device_rule(index, rule)).collect()
}

fn device_rule(index: usize, rule: &spec::DeviceRule) -> Result<DeviceRule, LowerError> {
    let field = |name: &str| format!("linux.resources.devices[{index}].{name}");
    let devices = match rule.kind.as_deref().unwrap_or("a") {
        "a" => Devices::All,
        "c" => Devices::Character,
        "b" => Devices::Block,
        other => return Err(value(field("type"), other, "`a`, `b` or `c`")),
    };
    let number = |name: &str, number: Option<i64>| match number {
        None | Some(-1) => Ok(None),
        Some(number) => u32::try_from(number)
            .map(Some)
            .map_err(|_| value(field(name), number, "a device number")),
    };
    let access = rule.access.as_deref().unwrap_or("rwm");
    let Some(access) = Access::parse(access) else {
        return Err(value(field("access"), access, "some of `r`, `w` and `m`"));
    };
    Ok(DeviceRule {
        allow: rule.allow,
        devices,
        major: number("major", rule.major)?,
        minor: number("minor", rule.minor)?,
        access,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults;

    #[test]
    fn the_default_rules_begin_with_a_refusal_of_all() {
        let rules = device_rules(&defaults::device_rules()).unwrap();
        assert!(!rules[0].allow && rules[0].devices == Devices::All);
        assert!(rules.iter().skip(1).all(|rule| rule.allow));
    }

    #[test]
    fn wrong_resources_are_named() {
        for (json, words) in [
            (r#"{"memory": {"limit": -2}}"#, "linux.resources.memory.limit` is `-2`"),
            (r#"{"devices": [{"allow": true, "access": "x"}]}"#, "devices[0].access` is `x`"),
            (r#"{"devices": [{"allow": true, "type": "p"}]}"#, "devices[0].type` is `p`"),
        ] {
            let resources: Resources = serde_json::from_str(json).unwrap();
            let error = create(Hierarchy::V2("/none".into()), "x", &resources).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
