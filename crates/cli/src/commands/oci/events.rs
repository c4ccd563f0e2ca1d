//! `creel oci events`

use std::process::ExitCode;
use std::time::Duration;

use creel_runtime::lifecycle::{Event, Runtime};
use serde::Serialize;

use super::Id;
use crate::failure::Failure;
use crate::output;

/// Print what a container uses, and when it ran out of memory, a JSON object a line
///
/// Ends with the container.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often to print what it uses, such as `500ms`, `5s` or `1m30s`
    #[arg(long, default_value = "5s", value_parser = interval, value_name = "TIME")]
    interval: Duration,
    /// Print once what it uses, and nothing else
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    id: Id,
}

/// A line, as callers of runc read it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<creel_runtime::stats::Stats>,
}

pub(crate) fn run(args: &Args, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let id = args.id.parse()?;
    let print = |event: Event| {
        let (kind, data) = match event {
            Event::Stats(stats) => ("stats", Some(*stats)),
            Event::Oom => ("oom", None),
        };
        let line = Line { kind, id: id.as_str(), data };
        let text = serde_json::to_string(&line).map_err(|error| Failure::output(&error.into()))?;
        output::text(&(text + "\n"))
    };
    if args.stats {
        print(Event::Stats(Box::new(runtime.stats(&id)?)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut watch = runtime.watch(&id, args.interval)?;
    while let Some(event) = watch.next_event()? {
        print(event)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A time as Go programs write it.
fn interval(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] = [
        ("ms", 1_000_000),
        ("us", 1_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
    ];
    let wrong = || "not a time such as `500ms`, `5s` or `1m30s`".to_owned();
    let (mut rest, mut total) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let (unit, size) =
            UNITS.into_iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(wrong)?;
        let time = number.parse().ok().and_then(|number: u64| number.checked_mul(size));
        total = time.and_then(|time| total.checked_add(time)).ok_or_else(wrong)?;
        rest = after.strip_prefix(unit).unwrap_or_default();
    }
    if total == 0 {
        Err("must be more than nothing".into())
    } else {
        Ok(Duration::from_nanos(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_strictly() {
        for (text, milliseconds) in
            [("5s", 5000), ("500ms", 500), ("1m30s", 90_000), ("1h", 3_600_000)]
        {
            assert_eq!(interval(text), Ok(Duration::from_millis(milliseconds)));
        }
        for wrong in ["", "5", "s", "5x", "0s", "-5s", "1.5s", "99999999999999h"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
