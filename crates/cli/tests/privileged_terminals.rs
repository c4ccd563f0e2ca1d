//! Terminals of containers, and job control with and without one.
#![allow(clippy::unwrap_used)]

mod containers;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use containers::{Who, World, until};

/// A script in a terminal of its own.
fn terminal(world: &World, script: &str) -> Command {
    let variables: Vec<_> = world
        .command(&[])
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.unwrap().to_owned()))
        .collect();
    let mut command = Command::new("script");
    command.args(["-qec", script, "/dev/null"]).env_clear().envs(variables);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Runs the program in a terminal of its own, which `script` makes, and returns what was shown.
fn in_terminal(world: &World, before: &str, arguments: &str, after: &str) -> String {
    let program = world.path("creel");
    let inner = format!("{before}\n {} {arguments}; echo code $?; {after}", program.display());
    let mut child = terminal(world, &inner).spawn().unwrap();
    // Closed at once, it would be the end of a file at the terminal.
    let _input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

#[test]
fn privileged_a_terminal_of_its_own() {
    let world = World::new(Who::Root);
    let size = "run --rm -t box sh -c 'stty size; test -t 0 && test -t 1 && echo $TERM; exit 4'";
    let shown = in_terminal(&world, "stty rows 33 cols 99", size, "true");
    assert_eq!(shown, "33 99\nxterm\ncode 4\n");
    // The container hears of a new size, and the terminal is as it was afterwards.
    let script = "trap \"stty size; exit 0\" WINCH; echo ready; while :; do sleep 0.1; done";
    let resize =
        "saved=$(stty -g); stty rows 20 cols 50; exec 9<&0; (sleep 3; stty rows 44 cols 55 <&9) &";
    let run = format!("run --rm -it box sh -c '{script}'");
    let shown = in_terminal(
        &world,
        resize,
        &run,
        "[ \"$(stty rows 20 cols 50; stty -g)\" = \"$saved\" ] && echo restored",
    );
    assert_eq!(shown, "ready\n44 55\ncode 0\nrestored\n");
    // Without a terminal here there is one in the container all the same.
    let (code, said, _) = world.result(&["run", "--rm", "-t", "box", "sh", "-c", "stty size"]);
    assert_eq!((code, said.as_str()), (0, "24 80\r\n"));
    world.is_clean();
}

#[test]
fn privileged_a_further_process_has_a_terminal_of_its_own() {
    let world = World::new(Who::Root);
    let waits = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let running = world.background(&["run", "--rm", "--name", "one", "box", "sh", "-c", waits]);
    let size = "exec -t one sh -c 'stty size; test -t 0 && test -t 1 && echo $TERM; exit 4'";
    let shown = in_terminal(&world, "stty rows 33 cols 99", size, "true");
    assert_eq!(shown, "33 99\nxterm\ncode 4\n");
    assert_eq!(typed(&world, "exec -it one sh -i"), 3);
    running.signal("TERM");
    assert_eq!(running.end().0, Some(5));
    world.is_clean();
}

/// Types what stops a command and lists the stopped ones into a shell of a container, then ends it.
/// Returns the exit code.
fn typed(world: &World, arguments: &str) -> i32 {
    let script = format!("{} {arguments}", world.path("creel").display());
    let mut child = terminal(world, &script).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = String::new();
    for (awaited, typed) in
        [("# ", "echo go; sleep 100\n"), ("go\r\n", "\x1a"), ("topped", "jobs\nexit 3\nexit 3\n")]
    {
        while !shown.contains(awaited) {
            let mut some = [0; 1000];
            let count = output.read(&mut some).unwrap();
            assert!(count > 0, "{shown}");
            shown.push_str(&String::from_utf8_lossy(&some[..count]));
        }
        shown.clear();
        // What is typed before the command runs would stop the shell.
        std::thread::sleep(Duration::from_millis(300));
        input.write_all(typed.as_bytes()).unwrap();
    }
    output.read_to_string(&mut shown).unwrap();
    assert!(shown.contains("[1]+") && shown.contains("sleep 100"), "{shown}");
    child.wait().unwrap().code().unwrap()
}

/// Ctrl-Z is a byte for whoever has the container's terminal: its shell stops the job, not `creel`.
#[test]
fn privileged_what_is_typed_stops_jobs_of_the_container() {
    let world = World::new(Who::Root);
    assert_eq!(typed(&world, "run --rm -it box sh -i"), 3);
    world.is_clean();
}

/// Without a terminal for the container Ctrl-Z is a signal to `creel`, which passes it on. The first
/// process of a container goes on, and so `creel` does not stop either.
#[test]
fn privileged_a_run_does_not_stop_without_its_container() {
    let world = World::new(Who::Root);
    let script = "trap 'echo stop' TSTP; trap 'echo go' CONT; trap 'echo term; exit 5' TERM; \
        echo ready; while :; do sleep 0.05; done";
    let running = world.background(&["run", "--rm", "box", "sh", "-c", script]);
    running.signal("TSTP");
    // The shell runs what waits in order of the signals' numbers.
    std::thread::sleep(Duration::from_millis(500));
    assert_ne!(running.state(), 'T');
    running.signal("CONT");
    std::thread::sleep(Duration::from_millis(500));
    running.signal("TERM");
    assert_eq!(running.end(), (Some(5), "stop\ngo\nterm\n".to_owned()));
    world.is_clean();
}

/// A further process is stopped as any other one, and `creel` stops with it.
#[test]
fn privileged_a_stopped_exec_goes_on_when_continued() {
    let world = World::new(Who::Root);
    let waits = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let running = world.background(&["run", "--rm", "--name", "one", "box", "sh", "-c", waits]);
    let counts = "echo ready; for n in 1 2 3 4 5 6; do sleep 0.5; echo $n; done; exit 4";
    let exec = world.background(&["exec", "one", "sh", "-c", counts]);
    exec.signal("TSTP");
    until("the program stops", || exec.state() == 'T');
    exec.signal("CONT");
    until("the program goes on", || exec.state() == 'S');
    assert_eq!(exec.end(), (Some(4), "1\n2\n3\n4\n5\n6\n".to_owned()));
    running.signal("TERM");
    assert_eq!(running.end().0, Some(5));
    world.is_clean();
}

/// Whoever read what a terminal shows has gone: the process ends as by SIGPIPE, and nothing is said.
#[test]
fn privileged_a_terminal_that_nobody_reads_ends_its_process() {
    let world = World::new(Who::Root);
    let waits = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let running = world.background(&["run", "--rm", "--name", "one", "box", "sh", "-c", waits]);
    for command in ["run --rm -t box", "exec -t one"] {
        let endless = "sh -c \"trap : HUP; while :; do echo line; sleep 0.01; done\"";
        let script = format!(
            "({} {command} {endless}; echo $? > code) 2> errors | head -n 1; sync",
            world.path("creel").display()
        );
        let variables = world.command(&[]);
        let variables = variables.get_envs().map(|(name, value)| (name, value.unwrap()));
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).envs(variables).current_dir(world.path("."));
        let said = shell.stdin(Stdio::null()).output().unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&said), "line\r\n", "{command}");
        let read = |name| std::fs::read_to_string(world.path(name)).unwrap();
        until("the program ends", || !read("code").is_empty());
        assert_eq!((read("code").as_str(), read("errors").as_str()), ("141\n", ""), "{command}");
    }
    running.signal("TERM");
    assert_eq!(running.end().0, Some(5));
    world.is_clean();
}
