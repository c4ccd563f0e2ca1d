//! `creel jail policy explain`

use std::process::ExitCode;

use creel_sandbox::policy::bpf::call::Call;
use creel_sandbox::policy::{Rules, action_words};
use serde::Serialize;

use super::{PolicyFile, Reading};
use crate::failure::Failure;
use crate::output::{self, Format};

/// Say what a policy does with system calls, or with one of them and why
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyFile,
    /// System call to decide about
    #[arg(value_name = "CALL")]
    call: Option<String>,
    /// Its arguments as numbers, 0 where left out
    #[arg(value_name = "ARGUMENT", value_parser = number)]
    arguments: Vec<u64>,
    #[command(flatten)]
    reading: Reading,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is done with a call.
#[derive(Serialize)]
struct Answer {
    call: String,
    action: String,
    /// Where the policy says so.
    place: Option<String>,
}

/// What a policy says about a call.
#[derive(Serialize)]
struct Said {
    call: &'static str,
    branches: Vec<SaidBranch>,
}

#[derive(Serialize)]
struct SaidBranch {
    condition: Option<String>,
    action: String,
    place: String,
}

#[derive(Serialize)]
struct Whole {
    default: String,
    calls: Vec<Said>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let rules = args.reading.rules(&args.policy.policy)?;
    match (&args.call, args.format) {
        (Some(name), format) => one(&rules, name, &args.arguments, format)?,
        (None, Format::Table) => output::text(&rules.explained())?,
        (None, Format::Json) => output::json(&whole(&rules))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn one(rules: &Rules, name: &str, given: &[u64], format: Format) -> Result<(), Failure> {
    let call = Call::find(name).filter(|call| call.number(rules.arch).is_some());
    let call = call.ok_or_else(|| {
        Failure::new(&format!("`{name}` is no system call of {}", rules.arch.name()))
    })?;
    let mut arguments = [0; 6];
    if given.len() > arguments.len() {
        return Err(Failure::new("a system call has six arguments at most"));
    }
    for (argument, value) in arguments.iter_mut().zip(given) {
        *argument = *value;
    }
    let decided = rules.decide(call, &arguments);
    let action = action_words(decided.action);
    match format {
        Format::Json => {
            output::json(&Answer { call: name.to_owned(), action, place: decided.place })
        }
        Format::Table => {
            let place = decided.place.unwrap_or_else(|| "the policy does not name it".into());
            output::text(&format!("{action}  ({place})\n"))
        }
    }
}

fn whole(rules: &Rules) -> Whole {
    let calls = rules.decisions.iter().map(|decision| {
        let branches = decision.branches.iter().map(|branch| SaidBranch {
            condition: (!branch.any_of.is_empty()).then(|| branch.condition()),
            action: action_words(branch.action),
            place: branch.place.clone(),
        });
        Said { call: decision.call.name(), branches: branches.collect() }
    });
    Whole { default: action_words(rules.default), calls: calls.collect() }
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    parsed.ok_or_else(|| "not a number such as `3` or `0x5412`".into())
}
