use super::*;

struct Nothing;

impl Host for Nothing {
    fn descriptor(&mut self, number: i32) -> io::Result<Arc<OwnedFd>> {
        if number > 9 {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(std::fs::File::open("/dev/null")?.into()))
    }

    fn contents(&mut self, number: i32) -> io::Result<Vec<u8>> {
        Ok(match number {
            3 => b"--dir\0/a\0--unshare-pid\0".to_vec(),
            4 => b"--args\x003\0".to_vec(),
            _ => vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f],
        })
    }

    fn names_filters(&self) -> bool {
        true
    }

    fn environment(&mut self) -> Vec<(OsString, OsString)> {
        vec![("A".into(), "1".into()), ("B".into(), "2".into())]
    }

    fn capabilities(&mut self) -> u64 {
        1 << 5
    }
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').filter(|word| !word.is_empty()).map(|word| word.into()).collect()
}

fn read(line: &str) -> Line {
    match parse(words(line), &mut Nothing) {
        Ok(Parsed::Line(line)) => *line,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    parse(words(line), &mut Nothing).unwrap_err().to_string()
}

#[test]
fn the_order_of_words_is_kept() {
    let line = read("--tmpfs /x --bind /a /x/a --symlink a /x/b --dir /x/c sh -c --tmpfs");
    let kinds: Vec<_> = line
        .sandbox
        .changes
        .iter()
        .map(|change| match change {
            Change::Tmpfs { .. } => "tmpfs",
            Change::Bind { .. } => "bind",
            Change::Link { .. } => "link",
            Change::Dir { .. } => "dir",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["tmpfs", "bind", "link", "dir"]);
    assert_eq!(line.words, words("sh -c --tmpfs"));
    assert_eq!(read("--unshare-pid -- --bind").words, words("--bind"));
}

#[test]
fn words_of_files_come_in_their_place() {
    let line = read("--dir /first --args 3 --dir /last true");
    let paths: Vec<_> = line.sandbox.changes.iter().map(Change::at).collect();
    assert_eq!(paths, ["/first", "/a", "/last"].map(PathBuf::from));
    assert!(line.sandbox.namespaces.pid);
    assert!(refused("--args 4").contains("--args"));
}

#[test]
fn what_is_said_before_is_of_the_next_option() {
    let line = read("--perms 1777 --size 0x10 --tmpfs /a --perms 0 --dir /b --file 3 /c true");
    match line.sandbox.changes.as_slice() {
        [
            Change::Tmpfs { mode: 0o1777, size: Some(16), .. },
            Change::Dir { mode: 0, .. },
            Change::File { mode: 0o666, .. },
        ] => {}
        other => panic!("{other:?}"),
    }
    for (line, words) in [
        ("--perms 1 --bind /a /b x", "--perms is followed"),
        ("--size 1 --dir /a x", "--size is not followed"),
        ("--perms 1 --perms 1 --dir /a x", "twice"),
        ("--perms 10000 --dir /a x", "octal"),
        ("--perms +1 --dir /a x", "octal"),
        ("--size 0 --tmpfs /a x", "not zero"),
        ("--size 18446744073709551616 --tmpfs /a", "not zero"),
        ("--size 9223372036854775809 --tmpfs /a", "at most"),
        ("--size -1 --tmpfs /a", "not zero"),
        ("--overlay-src /a x", "--overlay-src must be followed by another"),
        ("--overlay-src /a --ro-overlay /b", "--ro-overlay requires at least two"),
        ("--overlay a b c", "--overlay requires at least one"),
        ("--bind /a", "--bind takes 2 arguments"),
        ("--bin /a /b", "Unknown option --bin"),
        ("--bind=/a /b", "Unknown option --bind=/a"),
        ("-", "Unknown option -"),
        ("--userns x", "Invalid fd: x"),
        ("--userns 99", "descriptor 99"),
        ("--uid -1", "Invalid uid"),
        ("--cap-add CAP_NO", "unknown capability"),
        ("--setenv A=B c", "no name of a variable"),
        ("--seccomp 5 --add-seccomp-fd 5", "cannot be combined"),
    ] {
        assert!(refused(line).contains(words), "{line}: {}", refused(line));
    }
}

#[test]
fn layers_are_said_from_below() {
    let line = read(
        "--overlay-src /a --overlay-src /b --ro-overlay /c --overlay-src /d --tmp-overlay /e x",
    );
    match line.sandbox.changes.as_slice() {
        [
            Change::Overlay { layers, upper: Upper::None, .. },
            Change::Overlay { layers: one, upper: Upper::Memory, .. },
        ] => {
            assert_eq!(layers, &["/b", "/a"].map(PathBuf::from));
            assert_eq!(one, &["/d"].map(PathBuf::from));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn variables_and_capabilities_are_changed_in_order() {
    let line = read("--unsetenv A --setenv C 3 --setenv B 4 --cap-add cap_chown --cap-drop KILL x");
    let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    assert_eq!(line.sandbox.program.env, [pair("B", "4"), pair("C", "3")]);
    assert!(read("--clearenv x").sandbox.program.env.is_empty());
    assert_eq!(line.sandbox.program.capabilities, Capabilities::These(1));
}

#[test]
fn filters_have_names_and_numbers() {
    let line = read("--seccomp 5 --seccomp off x");
    assert_eq!((line.default_filter, line.sandbox.program.filters.len()), (Some(false), 1));
    assert_eq!(read("--seccomp default x").default_filter, Some(true));
    assert_eq!(read("x").default_filter, None);
}

#[test]
fn what_counts_once_is_remarked() {
    let line = read("--chdir / --chdir /a --uid 1 --uid 2 --seccomp 5 --seccomp 5 x");
    let options: Vec<_> = line.remarks.iter().map(|remark| remark.option.as_str()).collect();
    assert_eq!(options, ["--chdir", "--uid", "--seccomp"]);
    assert_eq!(line.sandbox.program.filters.len(), 1);
    assert!(matches!(parse(words("--dir /a --help"), &mut Nothing), Ok(Parsed::Help)));
    assert!(parse(vec!["--dir".into(); 9001], &mut Nothing).is_err());
}
