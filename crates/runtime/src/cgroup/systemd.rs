//! What systemd is told of a container's control group, so that it does not undo what is set there.

use std::collections::BTreeMap;

use creel_spawn::cgroup::{Cgroup, Hierarchy};
use creel_spawn::systemd::{Property, Scope, Value};

use super::settings::{Limit, limit, pids, ranges};
use super::{ResourcesError, fill, v2};
use crate::lower::{LowerError, value};
use crate::spec::{Cpu, Resources};

/// The unit of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) slice: String,
    pub(crate) name: String,
}

impl Unit {
    /// Takes `linux.cgroupsPath`, which is `slice:prefix:name` here as with runc; without one, the
    /// container's name counts.
    pub(crate) fn of(path: Option<&str>, id: &str, usual_slice: &str) -> Result<Self, LowerError> {
        let Some(path) = path else {
            return Ok(Self { slice: usual_slice.into(), name: format!("creel-{id}.scope") });
        };
        let wrong = || value("linux.cgroupsPath", path, "of the form `slice:prefix:name`");
        let parts: Vec<&str> = path.split(':').collect();
        let &[slice, prefix, name] = parts.as_slice() else { return Err(wrong()) };
        let slice = if slice.is_empty() { usual_slice } else { slice };
        let plain =
            |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-@\\".contains(&b));
        if name.is_empty() || ![slice, prefix, name].into_iter().all(plain) {
            return Err(wrong());
        }
        if !slice.ends_with(".slice") {
            return Err(value(
                "linux.cgroupsPath",
                path,
                "in a slice, whose name ends in `.slice`",
            ));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}-") };
        Ok(Self { slice: slice.into(), name: format!("{prefix}{name}.scope") })
    }
}

/// Begins a scope with the limits and device rules of a specification, and calls `make` while it lasts
/// without a process of its own; nothing remains of it after an error of this.
pub(crate) fn within<T>(
    scope: &Scope,
    slice: &str,
    (id, resources, annotations): (&str, &Resources, &BTreeMap<String, String>),
    make: impl FnOnce(Cgroup) -> T,
) -> Result<T, ResourcesError> {
    let settings = v2::settings(resources)?;
    super::device_rules(&resources.devices)?;
    let mut all = vec![
        ("Description".to_owned(), Value::Text(format!("creel container {id}"))),
        ("Slice".to_owned(), Value::Text(slice.into())),
    ];
    let on = ["Delegate", "MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"];
    all.extend(on.map(|name| (name.to_owned(), Value::Bool(true))));
    all.push(("DefaultDependencies".to_owned(), Value::Bool(false)));
    all.extend(properties(resources)?);
    all.extend(oom_policy(resources));
    all.extend(annotated(annotations)?);
    scope.begin(&all, |name| {
        let group = Cgroup::existing(Hierarchy::v2(), &name)?.of_scope(Some(scope.clone()));
        let filled = fill(&group, &settings, resources);
        if filled.is_err() {
            // The first error says more.
            let _ = group.remove();
        }
        filled.map(|()| make(group))
    })?
}

/// The limits that systemd has properties for.
pub(crate) fn properties(resources: &Resources) -> Result<Vec<Property>, LowerError> {
    let mut found = Vec::new();
    let mut add = |name: &str, value| found.push((name.to_owned(), value));
    if let Some(memory) = &resources.memory {
        let all = limit("memory.limit", memory.limit)?;
        for (name, limit) in [
            ("MemoryMax", all),
            ("MemoryLow", limit("memory.reservation", memory.reservation)?),
            ("MemorySwapMax", v2::swap(all, memory)?),
        ] {
            if let Some(limit) = limit {
                add(name, most(limit));
            }
        }
    }
    if let Some(limit) = pids(resources)? {
        add("TasksMax", most(limit));
    }
    if let Some(cpu) = &resources.cpu {
        self::cpu(cpu, &mut add)?;
    }
    // As with the files, what is said here counts.
    for (file, text) in &resources.unified {
        unified(file, text.trim(), &mut add);
    }
    Ok(found)
}

/// The properties for a file of version 2. A text that is none of its values is refused by the kernel.
fn unified(file: &str, text: &str, add: &mut impl FnMut(&str, Value)) {
    let name = match file {
        "memory.min" => "MemoryMin",
        "memory.low" => "MemoryLow",
        "memory.high" => "MemoryHigh",
        "memory.max" => "MemoryMax",
        "memory.swap.max" => "MemorySwapMax",
        "memory.zswap.max" => "MemoryZSwapMax",
        "pids.max" => "TasksMax",
        "cpu.weight" => "CPUWeight",
        "io.weight" => "IOWeight",
        "cpuset.cpus" => "AllowedCPUs",
        "cpuset.mems" => "AllowedMemoryNodes",
        "cpu.idle" if text == "1" => return add("CPUWeight", IDLE),
        "cpu.max" => {
            let (quota, period) = text.split_once(' ').unwrap_or((text, ""));
            let period = period.trim().parse().ok().filter(|period| *period != 0);
            if let Some(period) = period {
                add("CPUQuotaPeriodUSec", Value::Uint64(period));
            }
            if let Some(quota) = number(quota) {
                add("CPUQuotaPerSecUSec", per_second(quota, period.unwrap_or(v2::PERIOD)));
            }
            return;
        }
        _ => return,
    };
    let value = match name {
        "AllowedCPUs" | "AllowedMemoryNodes" => bits(text).map(Value::Bytes),
        // Systemd takes no zero.
        "TasksMax" if text == "0" => Some(Value::Uint64(1)),
        _ => number(text.strip_prefix("default ").unwrap_or(text)).map(most),
    };
    if let Some(value) = value {
        add(name, value);
    }
}

/// What can be said at the beginning only: whether all processes end when one is killed for want of
/// memory, for which systemd sets `memory.oom.group` (systemd.scope(5)).
fn oom_policy(resources: &Resources) -> Option<Property> {
    let policy = match resources.unified.get("memory.oom.group")?.trim() {
        "0" => "continue",
        "1" => "kill",
        _ => return None,
    };
    Some(("OOMPolicy".into(), Value::Text(policy.into())))
}

/// The weight that stands for what runs only when nothing else does.
const IDLE: Value = Value::Uint64(0);

fn most(limit: Limit) -> Value {
    Value::Uint64(if let Limit::At(number) = limit { number } else { u64::MAX })
}

/// A number as the kernel reads it (`memparse`), or `max`.
fn number(text: &str) -> Option<Limit> {
    if text == "max" {
        return Some(Limit::None);
    }
    let units = [(['k', 'K'], 10), (['m', 'M'], 20), (['g', 'G'], 30), (['t', 'T'], 40)];
    let with = |(unit, shift)| Some((text.strip_suffix(unit)?, shift));
    let (number, shift) = units.into_iter().find_map(with).unwrap_or((text, 0));
    number.parse::<u64>().ok()?.checked_mul(1 << shift).map(Limit::At)
}

fn cpu(cpu: &Cpu, add: &mut impl FnMut(&str, Value)) -> Result<(), LowerError> {
    match cpu.shares.filter(|shares| *shares != 0) {
        _ if cpu.idle == Some(1) => add("CPUWeight", IDLE),
        Some(shares) => add("CPUWeight", Value::Uint64(v2::weight(shares))),
        None if cpu.idle == Some(0) => add("CPUWeight", Value::Uint64(v2::USUAL_WEIGHT)),
        None => {}
    }
    let period = cpu.period.filter(|period| *period != 0);
    if let Some(period) = period {
        add("CPUQuotaPeriodUSec", Value::Uint64(period));
    }
    if let Some(quota) = limit("cpu.quota", cpu.quota)? {
        add("CPUQuotaPerSecUSec", per_second(quota, period.unwrap_or(v2::PERIOD)));
    }
    for (field, name, text) in [
        ("cpu.cpus", "AllowedCPUs", cpu.cpus.as_deref()),
        ("cpu.mems", "AllowedMemoryNodes", cpu.mems.as_deref()),
    ] {
        if let Some(list) = ranges(field, text)? {
            let rule = "a list of numbers such as `0-3,7`";
            let wrong = || value(format!("linux.resources.{field}"), list, rule);
            add(name, Value::Bytes(bits(list).ok_or_else(wrong)?));
        }
    }
    Ok(())
}

/// Systemd rounds down to 10 ms a second, so it is rounded up to that before.
fn per_second(quota: Limit, period: u64) -> Value {
    const STEP: u64 = 10_000;
    let each = |quota: u64| quota.saturating_mul(1_000_000) / period;
    most(match quota {
        Limit::None => Limit::None,
        Limit::At(quota) => Limit::At(each(quota).div_ceil(STEP).saturating_mul(STEP)),
    })
}

/// More processors than any kernel can have.
const MOST: usize = 1 << 13;

/// A bit a number, the lowest first.
fn bits(list: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        bytes.resize(bytes.len().max(last / 8 + 1), 0);
        for number in first..=last {
            *bytes.get_mut(number / 8)? |= 1 << (number % 8);
        }
    }
    Some(bytes)
}

const PREFIX: &str = "org.systemd.property.";

/// The properties that annotations ask for, as with runc and crun.
fn annotated(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>, LowerError> {
    let ours = annotations.iter().filter_map(|(key, text)| Some((key.strip_prefix(PREFIX)?, text)));
    ours.map(|(name, text)| {
        let field = || format!("annotations.{PREFIX}{name}");
        if !name.starts_with(|c: char| c.is_ascii_uppercase())
            || !name.bytes().all(|b| b.is_ascii_alphabetic())
        {
            return Err(value(field(), text, "of a property of systemd's, such as `TimeoutStopUSec`"));
        }
        let rule = "a text in quotes, a number such as `5` or `uint64 5`, a truth value or a list of texts";
        let parsed = variant(text.trim()).ok_or_else(|| value(field(), text, rule))?;
        in_microseconds(name, parsed).ok_or_else(|| value(field(), text, "a number of seconds"))
    })
    .collect()
}

/// What people write in seconds has properties in microseconds only.
fn in_microseconds(name: &str, value: Value) -> Option<Property> {
    let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) else {
        return Some((name.into(), value));
    };
    let seconds = match value {
        Value::Int32(number) => u64::try_from(number).ok()?,
        Value::Int64(number) => u64::try_from(number).ok()?,
        Value::Uint32(number) => number.into(),
        Value::Uint64(number) => number,
        _ => return None,
    };
    Some((format!("{stem}USec"), Value::Uint64(seconds.checked_mul(1_000_000)?)))
}

/// A value in the text form of `GVariant`, as far as properties need it.
fn variant(text: &str) -> Option<Value> {
    if let Some(items) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let items = items.split(',').map(|item| quoted(item.trim()).map(str::to_owned));
        return items.collect::<Option<Vec<_>>>().map(Value::Texts);
    }
    match text.split_once(' ') {
        None if text == "true" || text == "false" => Some(Value::Bool(text == "true")),
        _ if text.starts_with(['\'', '"']) => quoted(text).map(|text| Value::Text(text.into())),
        None | Some(("int32" | "@i", _)) => text.rsplit(' ').next()?.parse().ok().map(Value::Int32),
        Some(("uint32" | "@u", number)) => number.parse().ok().map(Value::Uint32),
        Some(("int64" | "@x", number)) => number.parse().ok().map(Value::Int64),
        Some(("uint64" | "@t", number)) => number.parse().ok().map(Value::Uint64),
        Some(_) => None,
    }
}

/// A text in quotes without any inside.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text.get(1..)?.strip_suffix(quote)?;
    (!inner.contains([quote, '\\'])).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_slice_a_prefix_and_a_name() {
        let of = |path| Unit::of(path, "id", "system.slice").map(|unit| (unit.slice, unit.name));
        let unit = |slice: &str, name: &str| (slice.to_owned(), name.to_owned());
        assert_eq!(of(None).unwrap(), unit("system.slice", "creel-id.scope"));
        assert_eq!(of(Some("a.slice:p:x")).unwrap(), unit("a.slice", "p-x.scope"));
        assert_eq!(of(Some("::x")).unwrap(), unit("system.slice", "x.scope"));
        for wrong in [
            "/a/b",
            "a:b",
            "a.slice:b:c:d",
            "a:b:c",
            "a.slice:b:",
            "../a.slice:b:c",
            "a.slice:b:c/d",
        ] {
            let said = of(Some(wrong)).unwrap_err().to_string();
            assert!(said.starts_with("`linux.cgroupsPath` is"), "{said}");
        }
    }

    #[test]
    fn limits_become_properties() {
        let json = r#"{"memory": {"limit": 100, "swap": 150}, "pids": {"limit": -1},
                       "cpu": {"quota": 50000, "shares": 1024, "cpus": "0,9-10"}}"#;
        let found = properties(&serde_json::from_str(json).unwrap()).unwrap();
        let expected = [
            ("MemoryMax", Value::Uint64(100)),
            ("MemorySwapMax", Value::Uint64(50)),
            ("TasksMax", Value::Uint64(u64::MAX)),
            ("CPUWeight", Value::Uint64(100)),
            ("CPUQuotaPerSecUSec", Value::Uint64(500_000)),
            ("AllowedCPUs", Value::Bytes(vec![1, 6])),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn files_of_version_2_become_properties() {
        let json = r#"{"unified": {"memory.high": "2M", "pids.max": "max", "cpu.max": "20000 50000",
                                   "io.weight": "default 50", "cpuset.cpus": "0-1",
                                   "cpu.weight": "x", "hugetlb.2MB.max": "0", "memory.min": ""}}"#;
        let found = properties(&serde_json::from_str(json).unwrap()).unwrap();
        let expected = [
            ("CPUQuotaPeriodUSec", Value::Uint64(50_000)),
            ("CPUQuotaPerSecUSec", Value::Uint64(400_000)),
            ("AllowedCPUs", Value::Bytes(vec![3])),
            ("IOWeight", Value::Uint64(50)),
            ("MemoryHigh", Value::Uint64(2 << 20)),
            ("TasksMax", Value::Uint64(u64::MAX)),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn what_is_idle_has_no_weight() {
        for (json, weight) in [
            (r#"{"cpu": {"idle": 1, "shares": 1024}}"#, 0),
            (r#"{"cpu": {"idle": 0, "shares": 1024}}"#, 100),
            (r#"{"cpu": {"idle": 0}}"#, 100),
            (r#"{"unified": {"cpu.idle": "1"}}"#, 0),
        ] {
            let found = properties(&serde_json::from_str(json).unwrap()).unwrap();
            assert_eq!(found, [("CPUWeight".to_owned(), Value::Uint64(weight))], "{json}");
        }
    }

    #[test]
    fn annotations_become_properties() {
        let of = |name: &str, text: &str| {
            annotated(&BTreeMap::from([(format!("{PREFIX}{name}"), text.to_owned())]))
        };
        for (name, text, property, value) in [
            ("TimeoutStopUSec", "uint64 5", "TimeoutStopUSec", Value::Uint64(5)),
            ("TimeoutStopSec", "5", "TimeoutStopUSec", Value::Uint64(5_000_000)),
            ("CollectMode", "'inactive'", "CollectMode", Value::Text("inactive".into())),
            ("SendSIGHUP", "true", "SendSIGHUP", Value::Bool(true)),
            ("After", "['a', 'b']", "After", Value::Texts(vec!["a".into(), "b".into()])),
        ] {
            assert_eq!(of(name, text).unwrap(), [(property.to_owned(), value)]);
        }
        for (name, text) in [("a", "1"), ("A_b", "1"), ("A", "x"), ("A", "'a'b'"), ("ASec", "'a'")]
        {
            assert!(of(name, text).is_err(), "{name} {text}");
        }
    }
}
