//! A path of a control group stays below its hierarchy, or is refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_runtime::fuzz::cgroup_path(data));
