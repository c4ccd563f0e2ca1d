//! Lowering of the annotation `dev.creel.landlock` (`docs/formats/landlock.md`).

use std::collections::BTreeMap;

use creel_spawn::landlock::{
    Files, Logging, Object, Policy, PortRule, Ports, Rule, Scopes, Strictness,
};
use serde::Deserialize;

use super::error::{LowerError, value};

/// Its name.
pub(crate) const NAME: &str = "dev.creel.landlock";
/// The most that it takes, in bytes.
const MAX: usize = 1 << 20;
/// The most paths and ports: each is a rule in the kernel.
const MAX_RULES: usize = 4096;
/// Stands for all rights, and in a rule for all that are handled.
const ALL: &str = "all";
/// Stands for the rights that change nothing.
const READ: &str = "read";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Document {
    compatibility: Compatibility,
    handled_access_fs: Vec<String>,
    handled_access_net: Vec<String>,
    scoped: Vec<String>,
    log: Vec<String>,
    path_beneath: Vec<PathBeneath>,
    net_port: Vec<NetPort>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Compatibility {
    #[default]
    Required,
    BestEffort,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PathBeneath {
    paths: Vec<String>,
    allowed_access: Vec<String>,
    #[serde(default)]
    optional: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NetPort {
    ports: Vec<u16>,
    allowed_access: Vec<String>,
}

/// The policy that annotations ask for, if they do.
///
/// # Errors
/// Names the property of the annotation that is wrong.
pub fn lower_landlock(
    annotations: &BTreeMap<String, String>,
) -> Result<Option<Policy>, LowerError> {
    let Some(text) = annotations.get(NAME) else { return Ok(None) };
    if text.len() > MAX {
        return Err(value(field(""), text.len(), "at most 1048576 bytes long"));
    }
    // Else a list would do too, with the properties in their order.
    if !text.trim_start().starts_with('{') {
        return Err(value(field(""), text, "an object"));
    }
    let document: Document = serde_json::from_str(text)
        .map_err(|source| LowerError::Annotation { name: NAME, source })?;
    document.lower().map(Some)
}

fn field(name: &str) -> String {
    format!("annotations[{NAME}]{name}")
}

impl Document {
    fn lower(&self) -> Result<Policy, LowerError> {
        let files = rights(".handledAccessFs", &self.handled_access_fs, |name| match name {
            ALL => Some(Files::ALL),
            READ => Some(Files::READ),
            name => Files::named(name),
        })?;
        let ports = rights(".handledAccessNet", &self.handled_access_net, |name| match name {
            ALL => Some(Ports::ALL),
            name => Ports::named(name),
        })?;
        let scopes = rights(".scoped", &self.scoped, |name| match name {
            ALL => Some(Scopes::ALL),
            name => Scopes::named(name),
        })?;
        if files.is_empty() && ports.is_empty() && scopes.is_empty() {
            let rule = "a policy that forbids anything";
            return Err(value(
                field(""),
                "without `handledAccessFs`, `handledAccessNet` and `scoped`",
                rule,
            ));
        }
        Ok(Policy {
            files,
            ports,
            scopes,
            logging: rights(".log", &self.log, Logging::named)?,
            rules: self.rules(files)?,
            port_rules: self.port_rules(ports)?,
            strictness: match self.compatibility {
                Compatibility::Required => Strictness::Required,
                Compatibility::BestEffort => Strictness::BestEffort,
            },
        })
    }

    fn rules(&self, handled: Files) -> Result<Vec<Rule>, LowerError> {
        let mut rules = Vec::new();
        for (index, PathBeneath { paths, allowed_access, optional }) in
            self.path_beneath.iter().enumerate()
        {
            let property = format!(".pathBeneath[{index}]");
            let access =
                rights(&format!("{property}.allowedAccess"), allowed_access, |name| match name {
                    ALL => Some(handled),
                    READ => Some(Files::READ.within(handled)),
                    name => Files::named(name).filter(|right| !right.within(handled).is_empty()),
                })?;
            for (number, path) in paths.iter().enumerate() {
                if !path.starts_with('/') || path.contains('\0') {
                    let field = field(&format!("{property}.paths[{number}]"));
                    return Err(value(field, path, "an absolute path"));
                }
                let object = Object::Path(path.clone());
                rules.push(Rule { object, access, optional: *optional });
            }
        }
        few(".pathBeneath", rules)
    }

    fn port_rules(&self, handled: Ports) -> Result<Vec<PortRule>, LowerError> {
        let mut rules = Vec::new();
        for (index, NetPort { ports, allowed_access }) in self.net_port.iter().enumerate() {
            let property = format!(".netPort[{index}].allowedAccess");
            let access = rights(&property, allowed_access, |name| match name {
                ALL => Some(handled),
                name => Ports::named(name).filter(|right| !right.within(handled).is_empty()),
            })?;
            rules.extend(ports.iter().map(|port| PortRule { port: *port, access }));
        }
        few(".netPort", rules)
    }
}

fn few<T>(property: &str, rules: Vec<T>) -> Result<Vec<T>, LowerError> {
    if rules.len() <= MAX_RULES {
        return Ok(rules);
    }
    Err(value(field(property), rules.len(), "at most 4096 rules"))
}

fn rights<T: FromIterator<T>>(
    property: &str,
    names: &[String],
    right: impl Fn(&str) -> Option<T>,
) -> Result<T, LowerError> {
    let right = |(index, name): (usize, &String)| {
        let rule = "a right of Landlock that can stand here";
        right(name).ok_or_else(|| value(field(&format!("{property}[{index}]")), name, rule))
    };
    names.iter().enumerate().map(right).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(text: &str) -> Result<Option<Policy>, LowerError> {
        lower_landlock(&BTreeMap::from([(NAME.to_owned(), text.to_owned())]))
    }

    #[test]
    fn a_policy_is_what_the_annotation_says() {
        assert!(lower_landlock(&BTreeMap::new()).unwrap().is_none());
        let policy = lowered(
            r#"{
                "compatibility": "best-effort",
                "handledAccessFs": ["all"],
                "handledAccessNet": ["connect_tcp"],
                "scoped": ["signal"],
                "log": ["log_same_exec_off"],
                "pathBeneath": [
                    {"paths": ["/usr", "/lib"], "allowedAccess": ["read"], "optional": true},
                    {"paths": ["/tmp"], "allowedAccess": ["all"]}
                ],
                "netPort": [{"ports": [80, 443], "allowedAccess": ["connect_tcp"]}]
            }"#,
        );
        let policy = policy.unwrap().unwrap();
        assert_eq!((policy.files, policy.ports), (Files::ALL, Ports::CONNECT_TCP));
        assert_eq!((policy.scopes, policy.strictness), (Scopes::SIGNAL, Strictness::BestEffort));
        assert_eq!(policy.logging, Logging::SAME_EXEC_OFF);
        let access: Vec<_> = policy.rules.iter().map(|one| (one.access, one.optional)).collect();
        assert_eq!(access, [(Files::READ, true), (Files::READ, true), (Files::ALL, false)]);
        assert_eq!(policy.port_rules.len(), 2);
        assert_eq!(
            lowered(r#"{"scoped":["all"]}"#).unwrap().unwrap().strictness,
            Strictness::Required
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("", "annotations[dev.creel.landlock]"),
            ("[]", "is `[]`, which is not an object"),
            (r#"{"handledAccessFS": ["all"]}"#, "is not what it must be"),
            (r#"{"compatibility": "maybe"}"#, "is not what it must be"),
            ("{}", "a policy that forbids anything"),
            (r#"{"handledAccessFs": ["reed"]}"#, "].handledAccessFs[0]` is `reed`"),
            (
                r#"{"handledAccessFs": ["execute", "bind_tcp"]}"#,
                "].handledAccessFs[1]` is `bind_tcp`",
            ),
            (
                r#"{"handledAccessFs": ["execute"],
                    "pathBeneath": [{"paths": ["/"], "allowedAccess": ["make_reg"]}]}"#,
                "].pathBeneath[0].allowedAccess[0]` is `make_reg`",
            ),
            (
                r#"{"handledAccessFs": ["execute"],
                    "pathBeneath": [{"paths": ["/", "etc"], "allowedAccess": []}]}"#,
                "].pathBeneath[0].paths[1]` is `etc`",
            ),
            (
                r#"{"scoped": ["all"], "netPort": [{"ports": [1], "allowedAccess": ["bind_tcp"]}]}"#,
                "].netPort[0].allowedAccess[0]` is `bind_tcp`",
            ),
            (
                r#"{"scoped": ["all"], "netPort": [{"ports": [65536], "allowedAccess": []}]}"#,
                "is not what",
            ),
        ] {
            let error = lowered(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let many = format!(
            r#"{{"scoped":["all"],"netPort":[{{"ports":[{}1],"allowedAccess":[]}}]}}"#,
            "1,".repeat(4096)
        );
        assert!(lowered(&many).unwrap_err().to_string().contains("at most 4096 rules"));
        assert!(lowered(&" ".repeat(MAX + 1)).is_err());
    }
}
