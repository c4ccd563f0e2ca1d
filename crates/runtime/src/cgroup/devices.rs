//! `linux.resources.devices`.

use creel_spawn::cgroup::{Access, DeviceRule, Devices};

use crate::lower::{LowerError, value};
use crate::spec;

/// The device rules of a specification after a refusal of all, and then those that every container has.
///
/// # Errors
/// Names a property that is no part of a rule.
pub fn device_rules(rules: &[spec::DeviceRule]) -> Result<Vec<DeviceRule>, LowerError> {
    let mut lowered = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| device_rule(index, rule))
        .collect::<Result<Vec<_>, _>>()?;
    if lowered.first().is_none_or(|first| first.devices != Devices::All) {
        lowered.insert(0, NO_DEVICE);
    }
    // Where all is allowed in the end, there is nothing to add.
    if lowered.last().is_some_and(|last| !last.allow || last.devices != Devices::All) {
        lowered.extend(USUAL_DEVICES);
    }
    Ok(lowered)
}

const NO_DEVICE: DeviceRule = rule(false, Devices::All, [None; 2], Access::ALL);

/// What a container may do with devices besides what its specification says, as with runc: make any
/// node, and open those of [`DEVICES`](crate::defaults::DEVICES) and terminals, which are `/dev/console`, `/dev/ptmx`
/// and every `/dev/pts/N`.
const USUAL_DEVICES: [DeviceRule; 11] = [
    rule(true, Devices::Character, [None; 2], Access::MAKE),
    rule(true, Devices::Block, [None; 2], Access::MAKE),
    character(1, Some(3)),
    character(1, Some(5)),
    character(1, Some(7)),
    character(1, Some(8)),
    character(1, Some(9)),
    character(5, Some(0)),
    character(5, Some(1)),
    character(5, Some(2)),
    character(136, None),
];

const fn character(major: u32, minor: Option<u32>) -> DeviceRule {
    rule(true, Devices::Character, [Some(major), minor], Access::ALL)
}

const fn rule(
    allow: bool,
    devices: Devices,
    [major, minor]: [Option<u32>; 2],
    access: Access,
) -> DeviceRule {
    DeviceRule { allow, devices, major, minor, access }
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

    /// The rules that specifications have mostly: runc's and crun's own, and those of engines.
    fn refusing_all() -> spec::DeviceRule {
        spec::DeviceRule { access: Some("rwm".into()), ..spec::DeviceRule::default() }
    }

    #[test]
    fn nothing_is_allowed_but_what_is_said_and_usual() {
        for rules in [&[][..], &[refusing_all()]] {
            let rules = device_rules(rules).unwrap();
            assert_eq!(rules[0], NO_DEVICE);
            assert_eq!(rules[1..], USUAL_DEVICES);
        }
        let all = spec::DeviceRule { allow: true, ..refusing_all() };
        assert_eq!(device_rules(&[all]).unwrap().len(), 1);
    }

    #[test]
    fn the_usual_devices_can_be_opened() {
        for (_, major, minor) in defaults::DEVICES {
            assert!(USUAL_DEVICES.contains(&character(major, Some(minor))));
        }
    }
}
