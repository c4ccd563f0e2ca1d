//! Attacks on `creel oci` by what is in a container, a volume or a bundle: each module has the name of what
//! was found in other runtimes, and where it can a control that shows that the attack works where nothing
//! is done about it. Needs root and a static `/bin/busybox`.
//!
//! Races are run `CREEL_TEST_ROUNDS` times, 500 if that is not set.
#![allow(clippy::unwrap_used)]

#[path = "../oci/mod.rs"]
mod oci;
mod race;

mod cve_2016_9962;
mod cve_2019_16884;
mod cve_2019_19921;
mod cve_2019_5736;
mod cve_2021_30465;
mod cve_2021_43784;
mod cve_2022_0492;
mod cve_2022_29162;
mod cve_2023_25809;
mod cve_2024_21626;
mod cve_2024_45310;
mod cve_2025_24965;
mod cve_2025_31133;
mod cve_2025_52565;
mod cve_2025_52881;
mod cve_2026_30892;
mod cve_2026_41579;

/// What depends on the version of control groups, with version 2; the rest with an older kernel too.
#[test]
fn guest_repeats_them_with_version_2() {
    let names =
        ["cve_2023_25809", "cve_2022_0492", "cve_2019_19921", "cve_2026_41579", "cve_2021_43784"];
    let programs = [std::path::Path::new(env!("CARGO_BIN_EXE_creel"))];
    creel_testkit::guest::repeat(&names, &programs).unwrap();
}
