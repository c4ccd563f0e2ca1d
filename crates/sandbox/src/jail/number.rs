//! Numbers and sets of capabilities, as the C library reads them.

use creel_codec::bpf::capability;

/// As `strtoul` reads it: decimal, `0x…` or `0…`.
pub(super) fn integer(text: &str) -> Option<u64> {
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    digits
        .starts_with(|c: char| c.is_ascii_hexdigit())
        .then(|| u64::from_str_radix(digits, radix).ok())?
}

pub(super) fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_digit = |c: char| c.is_ascii_hexdigit();
    digits.starts_with(is_digit).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// A mask in hexadecimal digits, or what `cap_from_text(3)` takes, as far as effective capabilities are
/// concerned: clauses such as `cap_net_raw,cap_chown=e` or `all+ep`.
pub(super) fn capabilities(text: &str) -> Option<u64> {
    if !text.contains(['=', '+', '-']) {
        return hexadecimal(text);
    }
    text.split_whitespace().try_fold(0, |set, clause| {
        let (names, operations) = clause.split_at_checked(clause.find(['=', '+', '-'])?)?;
        apply(set, names_mask(names, operations.starts_with('='))?, operations)
    })
}

fn names_mask(names: &str, may_be_none: bool) -> Option<u64> {
    let all = (1 << capability::NAMES.len()) - 1;
    match names {
        "" => may_be_none.then_some(all),
        _ if names.eq_ignore_ascii_case("all") => Some(all),
        _ => names.split(',').try_fold(0, |mask, name| {
            let same = |known: &str| known.eq_ignore_ascii_case(name);
            Some(mask | 1 << capability::NAMES.iter().position(|known| same(known))?)
        }),
    }
}

/// Operators with the flags that follow each.
fn apply(mut set: u64, names: u64, operations: &str) -> Option<u64> {
    let mut rest = operations;
    while let Some(operator) = rest.chars().next() {
        let after = rest.get(1..)?;
        let end = after.find(['=', '+', '-']).unwrap_or(after.len());
        let (flags, next) = after.split_at_checked(end)?;
        if !flags.chars().all(|flag| "eip".contains(flag)) {
            return None;
        }
        let effective = flags.contains('e');
        set = match operator {
            '=' if effective => set | names,
            '=' => set & !names,
            '+' if effective => set | names,
            '-' if effective => set & !names,
            _ => set,
        };
        rest = next;
    }
    Some(set)
}
