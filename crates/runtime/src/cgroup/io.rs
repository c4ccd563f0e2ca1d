//! `linux.resources.blockIO`.

use super::settings::{Settings, within};
use crate::lower::{LowerError, value};
use crate::spec::{BlockIo, Rate};

const WEIGHT: (u64, u64) = (10, 1000);
const RULE: &str = "a number from 10 to 1000";

/// The names of the files of version 1, by the names of rates.
const THROTTLES: [(&str, &str, &str); 4] = [
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"),
];

pub(super) fn v1(settings: &mut Settings, io: &BlockIo) -> Result<(), LowerError> {
    // The second name is that of the scheduler that has weights since Linux 5.0.
    let both = |name: &str, text: String| {
        vec![(format!("blkio.{name}"), text.clone()), (format!("blkio.bfq.{name}"), text)]
    };
    let mut add = |field: &str, name: &str, text: String| {
        settings.add_first_of("blkio", &format!("blockIO.{field}"), both(name, text));
    };
    if let Some(weight) = within("blockIO.weight", io.weight, WEIGHT, RULE)? {
        add("weight", "weight", weight.to_string());
    }
    if let Some(weight) = within("blockIO.leafWeight", io.leaf_weight, WEIGHT, RULE)? {
        add("leafWeight", "leaf_weight", weight.to_string());
    }
    for (index, device) in io.weight_device.iter().enumerate() {
        let field = |name: &str| format!("blockIO.weightDevice[{index}].{name}");
        let number = number(&field(""), device.major, device.minor)?;
        if let Some(weight) = within(&field("weight"), device.weight, WEIGHT, RULE)? {
            let name = format!("weightDevice[{index}]");
            add(&name, "weight_device", format!("{number} {weight}"));
        }
        if let Some(weight) = within(&field("leafWeight"), device.leaf_weight, WEIGHT, RULE)? {
            let name = format!("weightDevice[{index}]");
            add(&name, "leaf_weight_device", format!("{number} {weight}"));
        }
    }
    throttles(io, |field, file, _, device, rate| {
        settings.add("blkio", field, file, format_args!("{device} {rate}"));
    })
}

pub(super) fn v2(settings: &mut Settings, io: &BlockIo) -> Result<(), LowerError> {
    if let Some(weight) = within("blockIO.weight", io.weight, WEIGHT, RULE)? {
        let files = weights(|weight| weight.to_string(), weight);
        settings.add_first_of("io", "blockIO.weight", files);
    }
    for (index, device) in io.weight_device.iter().enumerate() {
        let field = format!("blockIO.weightDevice[{index}]");
        let number = number(&field, device.major, device.minor)?;
        if let Some(weight) = within(&format!("{field}.weight"), device.weight, WEIGHT, RULE)? {
            let files = weights(|weight| format!("{number} {weight}"), weight);
            settings.add_first_of("io", &field, files);
        }
    }
    throttles(io, |field, _, key, device, rate| {
        settings.add("io", field, "io.max", format_args!("{device} {key}={rate}"));
    })
}

/// The scheduler with weights takes those of the specification; the controller has its own scale of
/// 1 to 10000.
fn weights(line: impl Fn(u64) -> String, weight: u64) -> Vec<(String, String)> {
    let wide = 1 + (weight - 10) * 9999 / 990;
    vec![("io.bfq.weight".into(), line(weight)), ("io.weight".into(), line(wide))]
}

fn throttles(
    io: &BlockIo,
    mut add: impl FnMut(&str, &'static str, &'static str, &str, u64),
) -> Result<(), LowerError> {
    let rates: [&[Rate]; 4] = [
        &io.throttle_read_bps_device,
        &io.throttle_write_bps_device,
        &io.throttle_read_iops_device,
        &io.throttle_write_iops_device,
    ];
    for ((name, file, key), rates) in THROTTLES.into_iter().zip(rates) {
        for (index, rate) in rates.iter().enumerate() {
            let field = format!("blockIO.{name}[{index}]");
            add(&field, file, key, &number(&field, rate.major, rate.minor)?, rate.rate);
        }
    }
    Ok(())
}

fn number(field: &str, major: i64, minor: i64) -> Result<String, LowerError> {
    let field = field.trim_end_matches('.');
    let fits = |name: &str, number: i64| {
        let field = || format!("linux.resources.{field}.{name}");
        u32::try_from(number).map_err(|_| value(field(), number, "a device number"))
    };
    Ok(format!("{}:{}", fits("major", major)?, fits("minor", minor)?))
}
