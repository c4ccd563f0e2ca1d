//! The kernel's ways of writing what is used.

use std::collections::BTreeMap;

use super::{BlkioEntry, Interface, Pressure, Psi};

/// The most lines or entries that are read of a file.
const MAX: usize = 65_536;
/// The sizes that huge pages can have (`hugetlb.*` is named by them).
pub(super) const HUGE_PAGES: [&str; 14] = [
    "64KB", "512KB", "1MB", "2MB", "4MB", "8MB", "16MB", "32MB", "64MB", "256MB", "512MB", "1GB",
    "2GB", "16GB",
];

/// One number; `max` is the most that there is.
pub(super) fn number(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

/// Lines of a name and a number.
pub(super) fn table(text: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    text.lines().take(MAX).filter_map(line).collect()
}

/// A list such as `0-3,7`.
pub(super) fn list(text: &str) -> Vec<u16> {
    let range = |part: &str| {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u16>().ok()?..=last.parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().take(MAX).collect()
}

/// Numbers in a row.
pub(super) fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().take(MAX).filter_map(|number| number.parse().ok()).collect()
}

/// Pressure, `some` and `full`.
pub(super) fn pressure(text: &str) -> Option<Psi> {
    let mut psi = Psi::default();
    for line in text.lines() {
        let (which, values) = line.split_once(' ')?;
        let pressure = match which {
            "some" => &mut psi.some,
            "full" => &mut psi.full,
            _ => continue,
        };
        *pressure = one_pressure(values);
    }
    (psi != Psi::default() || text.starts_with("some")).then_some(psi)
}

fn one_pressure(values: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for (name, value) in values.split(' ').filter_map(|pair| pair.split_once('=')) {
        let share = || value.parse().ok().filter(|share: &f64| share.is_finite()).unwrap_or(0.0);
        match name {
            "avg10" => pressure.avg10 = share(),
            "avg60" => pressure.avg60 = share(),
            "avg300" => pressure.avg300 = share(),
            "total" => pressure.total = number(value),
            _ => {}
        }
    }
    pressure
}

/// `8:0` as two numbers.
pub(super) fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Lines such as `8:0 Read 7`, of version 1.
pub(super) fn operations(text: &str) -> Vec<BlkioEntry> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = device(words.next()?)?;
        let (op, value) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        Some(BlkioEntry { major, minor, op, value })
    };
    text.lines().take(MAX).filter_map(line).collect()
}

/// A line of `/proc/PID/net/dev` (`proc_pid_net(5)`).
pub(super) fn interface(line: &str) -> Option<Interface> {
    let (name, rest) = line.split_once(':')?;
    let numbers = numbers(rest);
    let [
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        _,
        _,
        _,
        _,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
        ..,
    ] = numbers[..]
    else {
        return None;
    };
    let name = name.trim().to_owned();
    Some(Interface {
        name,
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!((number("max\n"), number(" 7\n"), number("x")), (u64::MAX, 7, 0));
        assert_eq!(list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(list("65535-1,x,\n"), Vec::<u16>::new());
        assert_eq!(table("a 1\nb x\nc 3").len(), 2);
        let psi = pressure("some avg10=0.12 avg60=1.00 avg300=0.00 total=42\n").unwrap();
        assert_eq!((psi.some.avg10, psi.some.total, psi.full.total), (0.12, 42, 0));
        assert_eq!(pressure(""), None);
        assert_eq!(operations("8:0 Read 7\nTotal 7\n").len(), 1);
        let line = "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        let device = interface(line).unwrap();
        assert_eq!((device.name.as_str(), device.rx_dropped, device.tx_errors), ("eth0", 4, 11));
        assert_eq!(interface("Inter-| Receive"), None);
    }
}
