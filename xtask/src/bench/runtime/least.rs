//! The smallest memory limit of a container in which `true` still runs.

use std::path::Path;

use serde_json::json;

use super::super::harness::measure;
use super::bundle::Bundles;
use super::tool::Tool;

/// What limits are counted in.
const PAGE: u64 = 4096;
/// A limit with which all of them start.
const ENOUGH: u64 = 32 << 20;
/// How often it has to succeed.
const TIMES: usize = 3;

/// Returns the least limit in bytes under which `true` ran each time, by bisection.
pub(super) fn limit(tool: &Tool<'_>, bundles: &Bundles, path: &Path) -> anyhow::Result<f64> {
    let (mut fails, mut runs) = (0, ENOUGH / PAGE);
    while runs - fails > 1 {
        let middle = u64::midpoint(fails, runs);
        let limit = middle * PAGE;
        bundles.derive(path, |spec| {
            spec["linux"]["resources"]["memory"] = json!({"limit": limit});
        })?;
        let succeeds = (0..TIMES).all(|_| {
            let done = measure(&mut tool.run(path)).is_ok();
            tool.forget();
            done
        });
        if succeeds { runs = middle } else { fails = middle }
    }
    Ok((runs * PAGE) as f64)
}
