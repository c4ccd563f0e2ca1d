//! Lowering of `linux.intelRdt`.

use creel_spawn::resctrl::Settings;

use super::error::{LowerError, value};
use crate::spec::Linux;

/// `NAME_MAX`.
const MAX_NAME: usize = 255;

/// What a container asks for of caches and memory bandwidth, if it does.
pub(crate) fn lower(linux: &Linux) -> Result<Option<Settings>, LowerError> {
    let Some(asked) = &linux.intel_rdt else { return Ok(None) };
    let class = asked.clos_id.as_deref().filter(|class| !class.is_empty());
    if let Some(class) = class {
        check_class(class)?;
    }
    let mut compared = Vec::new();
    let named = [
        ("l3CacheSchema", "L3", &asked.l3_cache_schema),
        ("memBwSchema", "MB:", &asked.mem_bw_schema),
    ];
    for (name, start, schema) in named {
        if let Some(schema) = schema.as_ref().filter(|schema| !schema.is_empty()) {
            let field = format!("linux.intelRdt.{name}");
            let rule = "a line that begins with `L3` or `MB:`";
            if !schema.starts_with(start) {
                return Err(value(field, schema, rule));
            }
            // Runtimes have taken several lines there before version 1.1 of the specification.
            compared.extend(schema.lines().map(String::from));
        }
    }
    for (index, line) in asked.schemata.iter().enumerate() {
        if line.contains('\n') || !line.contains(':') {
            let field = format!("linux.intelRdt.schemata[{index}]");
            return Err(value(field, line, "one line such as `L3:0=ff`"));
        }
    }
    Ok(Some(Settings {
        class: class.map(String::from),
        compared,
        written: asked.schemata.clone(),
        monitored: asked.enable_monitoring,
    }))
}

/// A class is one directory, or the file system's own for all that have none.
fn check_class(class: &str) -> Result<(), LowerError> {
    let taken = ["info", "mon_groups", "mon_data", ".", ".."];
    let plain = !class.contains(['/', '\0', '\n']) && !taken.contains(&class);
    if class == "/" || plain && class.len() <= MAX_NAME {
        return Ok(());
    }
    Err(value("linux.intelRdt.closID", class, "a plain name, or `/`"))
}
