//! What command lines of minijail0 ask for.
#![allow(clippy::unwrap_used, clippy::panic)] // in the helpers of tests

use std::collections::HashMap;
use std::io;
use std::path::Path;

use creel_sandbox::jail::line::{Host, Request, read};
use creel_sandbox::jail::{First, Groups, Jail, LineError, Root};
use creel_sandbox::policy::{Files, Found};

/// A host with a few files.
struct Fake(HashMap<&'static str, &'static [u8]>);

impl Files for Fake {
    fn read(&mut self, _: &str, _: &str) -> io::Result<Found> {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Host for Fake {
    fn bytes(&mut self, path: &str, _: Option<usize>) -> io::Result<Vec<u8>> {
        self.0.get(path).map(|bytes| bytes.to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&mut self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn is_executable(&mut self, path: &Path) -> bool {
        path.to_str().is_some_and(|path| self.0.contains_key(path))
    }

    fn ids(&mut self) -> [u32; 2] {
        [1000, 100]
    }

    fn sets_groups(&mut self) -> bool {
        false
    }

    fn environment(&mut self) -> Vec<String> {
        vec!["A=1".into(), "B=2".into()]
    }
}

fn request(words: &str) -> Result<Request, LineError> {
    let words: Vec<_> = words.split_whitespace().map(|word| word.replace('~', " ")).collect();
    let files: [(_, &[u8]); 8] = [
        ("/bin/true", b"#!script"),
        ("/bin/static", &STATIC),
        ("/root/bin/x", b"#!script"),
        ("/etc/passwd", b"mail:x:8:12::/:/x\n"),
        ("/etc/group", b"mail:x:12:\naudio:x:29:mail\n"),
        ("policy", b"read: 1\n"),
        ("conf", b"% minijail-config-file v0\nns-mount\nuts = name\nu=mail\n"),
        ("bad", b"ns-mount\n"),
    ];
    read(&words, &mut Fake(files.into_iter().collect()))
}

/// A program of 64 bits without an interpreter.
const STATIC: [u8; 64] = {
    let mut bytes = [0; 64];
    let [a, b, c, d, class, order, ..] = *b"\x7fELF\x02\x01";
    (bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]) = (a, b, c, d, class, order);
    bytes
};

#[track_caller]
fn jail(words: &str) -> Jail {
    match request(&format!("{words} -- /bin/true")) {
        Ok(Request::Run(jail, _)) => *jail,
        other => panic!("{words}: {other:?}"),
    }
}

#[test]
fn letters_go_together_and_values_beside_or_behind_them() {
    let one = jail("-vplnu8 -g 12");
    assert!(one.namespaces.mount && one.namespaces.pid && one.namespaces.ipc);
    assert_eq!((one.user, one.group, one.no_new_privileges), (Some(8), Some(12), true));
    let long = jail("--ns-m --bind-mount=/a,/b,1 --uts=box --env-add X=3");
    assert_eq!((long.mounts[0].target.as_str(), long.hostname.as_deref()), ("/b", Some("box")));
    assert_eq!(long.env, ["A=1", "B=2", "X=3"]);
    assert_eq!(jail("--env-add A=5").env, ["B=2", "A=5"]);
}

#[test]
fn users_are_found_and_groups_follow() {
    let mail = jail("-u mail -g audio -G");
    assert_eq!((mail.user, mail.group), (Some(8), Some(29)));
    assert_eq!(mail.groups, Groups::Set(vec![12, 29]));
    assert_eq!(jail("-u mail -y").groups, Groups::Kept);
    assert_eq!(
        jail("--add-suppl-group 5 --add-suppl-group audio").groups,
        Groups::Set(vec![5, 29])
    );
}

#[test]
fn one_thing_brings_another() {
    let processes = jail("-p");
    assert!(processes.namespaces.mount && processes.proc && processes.first == First::Reaper);
    assert_eq!(jail("-I").first, First::Program);
    let mapped = jail("-m -M");
    assert!(mapped.namespaces.user && mapped.namespaces.pid && mapped.denies_setgroups);
    assert_eq!(
        (mapped.uid_map.as_deref(), mapped.gid_map.as_deref()),
        (Some("0 1000 1"), Some("0 100 1"))
    );
    assert_eq!(jail("-m0~0~5,7~9~1").uid_map.as_deref(), Some("0 0 5\n7 9 1"));
    let profile = jail("--profile minimalistic-mountns -T dynamic");
    assert_eq!(profile.root, Root::Pivoted("/var/empty".into()));
    assert!(
        profile.dev && profile.proc && profile.tmp == Some(64 << 20) && profile.mounts.len() == 3
    );
    assert!(jail("").no_new_privileges && !jail("-S policy").no_new_privileges);
}

#[test]
fn the_kind_of_program_decides_when_it_is_filtered() {
    assert!(jail("-S policy -n").late);
    let Ok(Request::Run(one, _)) = request("-S policy -n /bin/static") else { panic!() };
    assert!(!one.late && !one.filter.program.is_empty());
    assert!(matches!(request("-c 2 /bin/static"), Err(LineError::StaticCapabilities)));
    assert!(request("-c 2 --ambient /bin/static").is_ok());
    assert!(matches!(request("-C /root -v /bin/x"), Ok(Request::Run(..))));
}

#[test]
fn files_of_options_come_where_they_are_named() {
    let one = jail("--config conf -g 5");
    assert!(one.namespaces.mount && one.namespaces.uts);
    assert_eq!((one.user, one.group, one.hostname.as_deref()), (Some(8), Some(5), Some("name")));
    assert!(matches!(request("--config bad /bin/true"), Err(LineError::Config { line: 1, .. })));
    let made = request("--gen-config new -u mail --ns-mount --uts");
    let Ok(Request::Config { text, .. }) = made else { panic!("{made:?}") };
    assert_eq!(text, "% minijail-config-file v0\n\nu = mail\nns-mount\nuts\n");
}

#[test]
fn capabilities_are_masks_or_names() {
    let kept = |words: &str| jail(&format!("-c {words}")).capabilities.unwrap().kept;
    assert_eq!((kept("0"), kept("2f"), kept("0x10")), (0, 0x2f, 0x10));
    assert_eq!(kept("cap_chown,CAP_KILL=ep"), 0x21);
    assert_eq!(kept("all=e~cap_chown-e"), (1 << 41) - 2);
    assert_eq!(kept("cap_chown=p~cap_kill+i"), 0);
}

#[test]
fn what_cannot_be_is_refused_with_the_code_of_minijail0() {
    let cases = [
        ("", 1),
        ("--nothing /bin/true", 1),
        ("--no /bin/true", 1),
        ("--help=x", 1),
        ("-u", 1),
        ("-u none /bin/true", 1),
        ("-u 0 /bin/true", 134),
        ("-G /bin/true", 134),
        ("-S none /bin/true", 134),
        ("-C / -P / /bin/true", 1),
        ("-b /a /bin/true", 1),
        ("-K /bin/true", 1),
        ("-t9Q /bin/true", 1),
        ("-k a,b,c /bin/true", 1),
        ("-R RLIMIT_NOFILE,1,2 -R 7,1,2 /bin/true", 1),
        ("-c cap_none=e /bin/true", 1),
        ("--ambient /bin/true", 1),
        ("-p --no-new-sessions /bin/true", 1),
        ("--fs-path-rx /usr /bin/true", 1),
        ("/bin/none", 1),
    ];
    for (words, code) in cases {
        match request(words) {
            Err(error) => assert_eq!(error.exit_code(), code, "{words}: {error}"),
            Ok(request) => panic!("{words}: {request:?}"),
        }
    }
}
