//! Lowering of `linux.netDevices`.

use creel_spawn::{Joined, Namespace};

use super::error::{LowerError, value};
use super::linux::needs;
use crate::spec::{Linux, NamespaceKind};

const FIELD: &str = "linux.netDevices";
/// `IFNAMSIZ` without the end.
const MAX_NAME: usize = 15;
/// Stands for a number that is free.
const NUMBER: &str = "%d";

/// A device of the runtime's network namespace that the container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetDevice {
    /// The property.
    pub(crate) field: String,
    /// Its name.
    pub(crate) name: String,
    /// That inside.
    pub(crate) new_name: String,
}

pub(crate) fn lower(linux: &Linux, joined: &[Joined]) -> Result<Vec<NetDevice>, LowerError> {
    if linux.net_devices.is_empty() {
        return Ok(Vec::new());
    }
    needs(linux, NamespaceKind::Network, FIELD)?;
    let own = joined.iter().find(|one| one.kind == Namespace::Network);
    if own.is_some_and(|one| one.is_own().unwrap_or(true)) {
        let namespace = NamespaceKind::Network;
        return Err(LowerError::NeedsNamespace { field: FIELD.into(), namespace });
    }
    let lower = |(name, device): (&String, &crate::spec::NetDevice)| {
        let field = format!("{FIELD}.{name}");
        if !is_name(name) || name.contains('%') {
            return Err(value(FIELD, name, "the name of a network device"));
        }
        let new_name = device.name.as_ref().filter(|name| !name.is_empty()).unwrap_or(name);
        let fixed = new_name.strip_suffix(NUMBER).unwrap_or(new_name);
        if !is_name(new_name) || fixed.contains('%') {
            let rule = "a name of at most 15 bytes, which may end in `%d`";
            return Err(value(format!("{field}.name"), new_name, rule));
        }
        Ok(NetDevice { field, name: name.clone(), new_name: new_name.clone() })
    };
    let devices: Vec<_> = linux.net_devices.iter().map(lower).collect::<Result<_, _>>()?;
    let twice = |(index, device): (usize, &NetDevice)| {
        let mut before = devices.iter().take(index);
        !device.new_name.ends_with(NUMBER) && before.any(|one| one.new_name == device.new_name)
    };
    match devices.iter().enumerate().find(|device| twice(*device)) {
        Some((_, NetDevice { new_name, .. })) => {
            Err(LowerError::Duplicate { field: FIELD.into(), value: new_name.clone() })
        }
        None => Ok(devices),
    }
}

/// What the kernel takes for a name (`dev_valid_name`).
fn is_name(name: &str) -> bool {
    let forbidden = |byte: u8| matches!(byte, 0 | b'/' | b':') || byte.is_ascii_whitespace();
    (1..=MAX_NAME).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.bytes().any(forbidden)
}
