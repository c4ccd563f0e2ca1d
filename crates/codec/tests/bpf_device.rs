//! The compiler of device filters against a plain evaluation of the same rules.
#![allow(clippy::unwrap_used, missing_docs)]

use creel_codec::bpf::device::{Access, Devices, Rule, compile};
use creel_codec::bpf::extended::run;

const BLOCK: u32 = 1;
const CHARACTER: u32 = 2;
const BITS: [(u32, char); 3] = [(1, 'm'), (2, 'r'), (4, 'w')];

struct Request {
    kind: u32,
    access: u32,
    major: u32,
    minor: u32,
}

fn allowed(rules: &[Rule], request: &Request) -> bool {
    let context = [request.access << 16 | request.kind, request.major, request.minor];
    run(&compile(rules), &context).unwrap() == 1
}

/// Each bit by itself, the last rule first.
fn naive(rules: &[(Rule, &str)], request: &Request) -> bool {
    let about = |rule: &Rule, letters: &str, letter| match rule.devices {
        Devices::All => true,
        kind => {
            (kind == Devices::Block) == (request.kind == BLOCK)
                && rule.major.is_none_or(|major| major == request.major)
                && rule.minor.is_none_or(|minor| minor == request.minor)
                && letters.contains(letter)
        }
    };
    BITS.into_iter().filter(|(bit, _)| request.access & bit != 0).all(|(_, letter)| {
        let last = rules.iter().rev().find(|(rule, letters)| about(rule, letters, letter));
        last.is_none_or(|(rule, _)| rule.allow)
    })
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n).unwrap()
    }

    fn number(&mut self) -> u32 {
        [0, 1, 5, u32::MAX][self.below(4)]
    }

    fn rule(&mut self) -> (Rule, &'static str) {
        let letters = ["r", "w", "m", "rw", "rm", "wm", "rwm"][self.below(7)];
        let maybe = |random: &mut Self| (random.below(3) > 0).then(|| random.number());
        let devices = [Devices::All, Devices::Block, Devices::Character, Devices::Character];
        let rule = Rule {
            allow: self.below(2) == 0,
            devices: devices[self.below(4)],
            major: maybe(self),
            minor: maybe(self),
            access: Access::parse(letters).unwrap(),
        };
        (rule, letters)
    }
}

#[test]
fn programs_decide_as_the_rules_say() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..5_000 {
        let rules: Vec<_> = (0..random.below(8)).map(|_| random.rule()).collect();
        let plain: Vec<Rule> = rules.iter().map(|(rule, _)| *rule).collect();
        let request = Request {
            kind: if random.below(2) == 0 { BLOCK } else { CHARACTER },
            access: u32::try_from(1 + random.below(7)).unwrap(),
            major: random.number(),
            minor: random.number(),
        };
        let said = format!("{rules:?} {} {:?}", request.access, (request.major, request.minor));
        assert_eq!(allowed(&plain, &request), naive(&rules, &request), "{said}");
    }
}

/// Two rules together allow what neither does, and a refusal of one access is none of another.
#[test]
fn each_access_is_judged_for_itself() {
    let rule = |allow, letters| Rule {
        allow,
        devices: Devices::Character,
        major: Some(1),
        minor: Some(3),
        access: Access::parse(letters).unwrap(),
    };
    let deny = Rule { devices: Devices::All, ..rule(false, "rwm") };
    let asks = |access| Request { kind: CHARACTER, access, major: 1, minor: 3 };
    let (make, read, write) = (asks(1), asks(2), asks(4));
    let both = [deny, rule(true, "r"), rule(true, "w")];
    assert!(allowed(&both, &asks(6)) && allowed(&both, &read) && !allowed(&both, &make));
    let less = [deny, rule(true, "rwm"), rule(false, "w")];
    assert!(allowed(&less, &read) && !allowed(&less, &write) && !allowed(&less, &asks(6)));
    assert!(allowed(&[], &write) && !allowed(&[deny], &make));
    for wrong in ["", "x", "rwx"] {
        assert!(Access::parse(wrong).is_none(), "{wrong}");
    }
}

/// The program of one rule, word by word: the kernel's verifier reads it in the guest's tests.
#[test]
fn the_words_are_the_kernels() {
    let rule = Rule {
        allow: false,
        devices: Devices::Block,
        major: Some(8),
        minor: None,
        access: Access::WRITE,
    };
    let words: Vec<String> = compile(&[rule]).iter().map(|word| format!("{word:016x}")).collect();
    let expected = [
        "0000000000001261", // r2 = context[0]
        "00000000000023bc", // r3 = r2
        "0000ffff00000354", // r3 &= 0xffff
        "0000001000000274", // r2 >>= 16
        "0000000000041461", // r4 = context[4]
        "0000000000081561", // r5 = context[8]
        "0000000100050356", // if r3 != 1 skip 5
        "0000000800040456", // if r4 != 8 skip 4
        "0000000400010246", // if r2 & 4 skip 1
        "0000000000020005", // skip 2
        "00000000000000b4", // r0 = 0
        "0000000000000095", // exit
        "00000001000000b4", // r0 = 1
        "0000000000000095", // exit
    ];
    assert_eq!(words, expected);
}
