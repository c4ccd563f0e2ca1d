//! Executes the test program again; needs root.
#![allow(clippy::unwrap_used)]

use std::ffi::CString;
use std::fs::OpenOptions;
use std::process::Command;

#[test]
#[ignore = "run by `privileged_own_file_cannot_be_written`"]
fn protected() {
    let argv = std::env::args().map(|arg| CString::new(arg).unwrap()).collect();
    creel_sys::selfexe::protect(argv, Vec::new()).unwrap();
    let error = OpenOptions::new().write(true).truncate(true).open("/proc/self/exe").unwrap_err();
    // Truncation asks the mount first; else the answer is ETXTBSY, which ends with the process.
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

#[test]
fn privileged_own_file_cannot_be_written() {
    let program = std::env::current_exe().unwrap();
    let output =
        Command::new(program).args(["--ignored", "--exact", "protected"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}
