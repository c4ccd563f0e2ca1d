//! Times as people say them.

use jiff::Timestamp;

/// Seconds in each unit, and its name.
const UNITS: [(i64, &str); 6] = [
    (365 * 86_400, "year"),
    (30 * 86_400, "month"),
    (7 * 86_400, "week"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
];

/// Says how long ago something was.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(then, now))
}

/// Says how much time is between two moments, in the largest unit of which there are two, so that
/// the rounding is never more than half of what is said.
pub(crate) fn span(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    let unit = UNITS.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (count, name) = unit.map_or((seconds, "second"), |(length, name)| (seconds / length, name));
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_times() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (seconds, expected) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
            (1_209_600, "2 weeks"),
            (-5, "0 seconds"),
        ] {
            assert_eq!(span(at(1000), at(1000 + seconds)), expected);
        }
        assert_eq!(ago(at(0), at(60)), "60 seconds ago");
    }
}
