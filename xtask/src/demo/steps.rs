//! The steps of the demo, each shown and timed.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::run;

/// What was done so far.
#[derive(Default)]
pub(super) struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Does one step.
    pub(super) fn time<T>(
        &mut self,
        name: &str,
        step: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        println!("\n== {name}");
        let start = Instant::now();
        let result = step()?;
        self.done.push((name.to_owned(), start.elapsed()));
        Ok(result)
    }

    /// Runs a command as a step, shows its output and returns it.
    pub(super) fn run(&mut self, who: &str, mut command: Command) -> anyhow::Result<String> {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let name = format!("{who}: creel {}", words.join(" "));
        let output = self.time(&name, || run::capture(&mut command))?;
        print!("{output}");
        Ok(output)
    }

    /// Prints how long each step took.
    pub(super) fn print(&self) {
        println!("\n== how long each step took");
        for (name, time) in &self.done {
            println!("{:>10.3} s  {name}", time.as_secs_f64());
        }
    }
}
