//! Hardware virtualisation, and whether it is the hardware's.

use std::fs;
use std::io;

use super::Finding;

const TOPIC: &str = "KVM";

pub(super) fn examine() -> Finding {
    let opened = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
    match opened {
        Ok(_) => judge(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
        Err(error) => absent(&error),
    }
}

/// `/dev/kvm` without the processor's extension means that guest kernels are emulated in software.
fn judge(cpuinfo: &str) -> Finding {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let extension = flags.split_whitespace().find(|flag| matches!(*flag, "vmx" | "svm"));
    match extension {
        Some(flag) => Finding::good(TOPIC, format!("there, on the processor's {flag}")),
        None => Finding::limited(TOPIC, "there, but the processor has neither vmx nor svm")
            .costs("guest kernels are emulated, thousands of times slower: microVMs do not start in useful time")
            .mended_by("run on bare metal, or enable nested virtualisation in the host"),
    }
}

fn absent(error: &io::Error) -> Finding {
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied => "`usermod -aG kvm $USER` as root, then log in again",
        _ => {
            "enable virtualisation in the firmware, then `modprobe kvm_intel` or `modprobe kvm_amd`"
        }
    };
    Finding::limited(TOPIC, format!("/dev/kvm: {error}"))
        .costs("microVMs do not run")
        .mended_by(mend)
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn tells_hardware_from_emulation() {
        assert_eq!(judge("model name: x\nflags\t\t: fpu vmx\n").severity, Severity::Good);
        assert_eq!(judge("flags\t\t: fpu sse\n").severity, Severity::Limited);
    }
}
