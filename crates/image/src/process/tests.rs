use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn image(entrypoint: &str, cmd: &str) -> Execution {
    let list = |text| Some(words(text)).filter(|words| !words.is_empty());
    Execution { entrypoint: list(entrypoint), cmd: list(cmd), ..Execution::default() }
}

#[test]
fn joins_entry_point_and_command() {
    let cases = [
        ("", "sh", None, "", Some("sh")),
        ("init", "sh -l", None, "", Some("init sh -l")),
        ("init", "sh", None, "ls /", Some("init ls /")),
        ("init", "sh", Some("env"), "", Some("env")),
        ("init", "sh", Some("env"), "A=b", Some("env A=b")),
        ("init", "sh", Some(""), "ls", Some("ls")),
        ("init", "sh", Some(""), "", None),
        ("", "", None, "", None),
    ];
    for (entrypoint, cmd, new_entrypoint, command, expected) in cases {
        let overrides = Overrides {
            entrypoint: new_entrypoint.map(words),
            command: words(command),
            ..Overrides::default()
        };
        let found = process(&image(entrypoint, cmd), &overrides).map(|process| process.argv);
        assert_eq!(found.ok(), expected.map(words), "{entrypoint} {cmd} {command}");
    }
}

#[test]
fn an_empty_program_is_none() {
    let overrides = Overrides { command: vec![String::new()], ..Overrides::default() };
    assert_eq!(process(&image("", "sh"), &overrides), Err(ProcessError::NoCommand));
}

#[test]
fn overrides_the_environment_in_place() {
    let mut image = image("", "sh");
    let env = |image: &Execution, env: &[(&str, Option<&str>)]| {
        let owned =
            |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
        let overrides = Overrides { env: env.iter().map(owned).collect(), ..Overrides::default() };
        process(image, &overrides).map(|process| process.env)
    };
    assert_eq!(env(&image, &[]).unwrap(), [format!("PATH={DEFAULT_PATH}")]);
    image.env = words("PATH=/bin A=1 B=2 A=3=4");
    assert_eq!(env(&image, &[]).unwrap(), words("PATH=/bin A=3=4 B=2"));
    let changed = env(&image, &[("A", Some("x")), ("C", Some("")), ("PATH", None)]);
    assert_eq!(changed.unwrap(), words("A=x B=2 C="));
    for bad in ["", "A=b"] {
        assert!(matches!(env(&image, &[(bad, Some(""))]), Err(ProcessError::Variable { .. })));
    }
    assert!(matches!(env(&image, &[("A", Some("\0"))]), Err(ProcessError::Nul { .. })));
    image.env = (0..MAX_VARIABLES).map(|number| format!("{number}=")).collect();
    assert_eq!(env(&image, &[]), Err(ProcessError::TooManyVariables));
    image.env = words("A");
    assert!(matches!(env(&image, &[]), Err(ProcessError::Variable { .. })));
}

#[test]
fn cleans_the_working_directory() {
    let cases = [
        ("", None, Some("/")),
        ("app", None, Some("/app")),
        ("/a//b/./../c/", None, Some("/a/c")),
        ("/../../etc", None, Some("/etc")),
        ("/a", Some("/b"), Some("/b")),
        ("/a", Some("b"), None),
        ("/a\0", None, None),
    ];
    for (working_dir, cwd, expected) in cases {
        let image = Execution { working_dir: working_dir.into(), ..image("", "sh") };
        let overrides = Overrides { cwd: cwd.map(str::to_owned), ..Overrides::default() };
        let found = process(&image, &overrides).ok().map(|process| process.cwd);
        assert_eq!(found.as_deref(), expected, "{working_dir}");
    }
}

#[test]
fn takes_user_and_stop_signal() {
    let mut image = Execution { user: "web".into(), ..image("", "sh") };
    let found = process(&image, &Overrides::default()).unwrap();
    assert_eq!((found.user.as_str(), found.stop_signal), ("web", Signal::TERM));
    image.stop_signal = Some("SIGQUIT".into());
    let overrides = Overrides { user: Some("0".into()), ..Overrides::default() };
    let found = process(&image, &overrides).unwrap();
    assert_eq!((found.user.as_str(), found.stop_signal.number()), ("0", 3));
    image.stop_signal = Some("SIGNOTHING".into());
    assert!(process(&image, &overrides).is_err());
    let overrides = Overrides { stop_signal: Some(Signal::KILL), ..overrides };
    assert_eq!(process(&image, &overrides).unwrap().stop_signal, Signal::KILL);
}
