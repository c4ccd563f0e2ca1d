//! The values of `linux.resources` that both versions have, and the list of what is to be set.

use std::fmt;

use creel_spawn::cgroup::{Missing, Setting};

use crate::lower::{LowerError, value};
use crate::spec::{HugePages, Resources};

/// Settings in order.
#[derive(Debug, Default)]
pub(super) struct Settings(pub(super) Vec<Setting>);

impl Settings {
    /// Adds a value of a file; `field` is below `linux.resources`.
    pub(super) fn add(
        &mut self,
        controller: &'static str,
        field: &str,
        file: impl Into<String>,
        text: impl fmt::Display,
    ) {
        self.add_first_of(controller, field, vec![(file.into(), text.to_string())]);
    }

    /// Adds a value that goes to the first of some files that exists.
    pub(super) fn add_first_of(
        &mut self,
        controller: &'static str,
        field: &str,
        files: Vec<(String, String)>,
    ) {
        let field = format!("linux.resources.{field}");
        self.0.push(Setting { field, controller, files, missing: Missing::Refused });
    }

    /// Makes the last one added no error where its file is missing.
    pub(super) fn or_nothing(&mut self) {
        if let Some(last) = self.0.last_mut() {
            last.missing = Missing::Ignored;
        }
    }
}

/// The most of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// As much as there is.
    None,
    /// So many.
    At(u64),
}

impl Limit {
    /// As version 1 takes it.
    pub(super) fn v1(self) -> String {
        match self {
            Self::None => "-1".into(),
            Self::At(number) => number.to_string(),
        }
    }

    /// As version 2 takes it.
    pub(super) fn v2(self) -> String {
        match self {
            Self::None => "max".into(),
            Self::At(number) => number.to_string(),
        }
    }
}

/// A limit in which -1 means none, and 0 that nothing is said, as runc takes it.
pub(super) fn limit(field: &str, number: Option<i64>) -> Result<Option<Limit>, LowerError> {
    match number {
        None | Some(0) => Ok(None),
        Some(-1) => Ok(Some(Limit::None)),
        Some(number) => u64::try_from(number).map(|number| Some(Limit::At(number))).map_err(|_| {
            value(format!("linux.resources.{field}"), number, "-1 or a number from 0 on")
        }),
    }
}

/// The limit of processes, in which 0 says something: nothing can be born, which the first process
/// does not feel. It is written as 1, the least that systemd takes, so that both drivers do the same.
pub(super) fn pids(resources: &Resources) -> Result<Option<Limit>, LowerError> {
    let number = resources.pids.and_then(|pids| pids.limit);
    limit("pids.limit", number.map(|number| if number == 0 { 1 } else { number }))
}

/// A number that must be within bounds; 0 says nothing.
pub(super) fn within(
    field: &str,
    number: Option<u64>,
    (least, most): (u64, u64),
    rule: &'static str,
) -> Result<Option<u64>, LowerError> {
    match number {
        None | Some(0) => Ok(None),
        Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
        Some(number) => Err(value(format!("linux.resources.{field}"), number, rule)),
    }
}

/// A list of processors or memory nodes; an empty one says nothing.
pub(super) fn ranges<'a>(
    field: &str,
    text: Option<&'a str>,
) -> Result<Option<&'a str>, LowerError> {
    let plain = |c: char| c.is_ascii_digit() || "-,: ".contains(c);
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) if text.chars().all(plain) => Ok(Some(text)),
        Some(text) => Err(value(
            format!("linux.resources.{field}"),
            text,
            "a list of numbers such as `0-3,7`",
        )),
    }
}

/// `cpu.idle`.
pub(super) fn idle(resources: &Resources) -> Result<Option<i64>, LowerError> {
    match resources.cpu.as_ref().and_then(|cpu| cpu.idle) {
        Some(idle) if !(0..=1).contains(&idle) => {
            Err(value("linux.resources.cpu.idle", idle, "0 or 1"))
        }
        idle => Ok(idle),
    }
}

/// The limits of huge pages; `limit_file` is what the names of their files end with.
pub(super) fn huge_pages(
    settings: &mut Settings,
    resources: &Resources,
    limit_file: &str,
) -> Result<(), LowerError> {
    for (index, pages) in resources.hugepage_limits.iter().enumerate() {
        let (size, limit) = huge_page(index, pages)?;
        let field = format!("hugepageLimits[{index}]");
        settings.add("hugetlb", &field, format!("hugetlb.{size}.{limit_file}"), limit);
        // Reserved pages are counted since Linux 5.7.
        settings.add("hugetlb", &field, format!("hugetlb.{size}.rsvd.{limit_file}"), limit);
        settings.or_nothing();
    }
    Ok(())
}

/// The size of a huge page as the names of files have it, and the limit.
fn huge_page(index: usize, pages: &HugePages) -> Result<(&str, u64), LowerError> {
    let size = pages.page_size.as_str();
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    let plain = |number: &str| {
        !number.is_empty() && !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit())
    };
    if number.is_some_and(plain) {
        return Ok((size, pages.limit));
    }
    let field = format!("linux.resources.hugepageLimits[{index}].pageSize");
    Err(value(field, size, "a size such as `64KB`, `2MB` or `1GB`"))
}

/// What is written to `rdma.max`, a line a device.
pub(super) fn rdma(settings: &mut Settings, resources: &Resources) -> Result<(), LowerError> {
    for (device, limits) in &resources.rdma {
        let field = format!("rdma.{device}");
        if device.is_empty() || device.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(value(format!("linux.resources.{field}"), device, "the name of a device"));
        }
        let mut line = device.clone();
        let named = [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)];
        for (name, number) in named.into_iter().filter_map(|(name, n)| Some((name, n?))) {
            line.push_str(&format!(" {name}={number}"));
        }
        settings.add("rdma", &field, "rdma.max", line);
    }
    Ok(())
}
