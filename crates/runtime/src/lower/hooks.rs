//! Lowering of `hooks`.

use std::time::Duration;

use creel_spawn::Hook;

use super::error::{LowerError, value};
use super::linux::absolute;
use super::process::variables;
use crate::spec;

/// The hooks of one moment, which is their name in the specification.
///
/// # Errors
/// Names the property that is wrong.
pub(crate) fn lower(moment: &str, hooks: &[spec::Hook]) -> Result<Vec<Hook>, LowerError> {
    let lower = |(index, hook): (usize, &spec::Hook)| {
        let field = format!("hooks.{moment}[{index}]");
        absolute(format!("{field}.path"), &hook.path)?;
        variables(&format!("{field}.env"), &hook.env)?;
        let timeout = |seconds: i64| {
            let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
            let rule = "a number of seconds from 1 on";
            let wrong = || value(format!("{field}.timeout"), hook.timeout.unwrap_or(0), rule);
            seconds.map(Duration::from_secs).ok_or_else(wrong)
        };
        Ok(Hook {
            name: format!("{moment} hook #{index}"),
            path: hook.path.clone(),
            argv: hook.args.clone(),
            env: hook.env.clone(),
            timeout: hook.timeout.map(timeout).transpose()?,
        })
    };
    hooks.iter().enumerate().map(lower).collect()
}
