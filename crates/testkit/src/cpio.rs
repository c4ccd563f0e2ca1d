//! Archives that the kernel unpacks into its first root (`Documentation/driver-api/early-userspace/
//! buffer-format.rst`): cpio, format "newc".

/// An archive that entries are put into.
#[derive(Debug, Default)]
pub(crate) struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_000;

impl Cpio {
    /// Adds a file below directories that are there already.
    pub(crate) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.put(name, FILE | mode, content);
    }

    /// Adds a directory and those above it; one that is there already is left as it is.
    pub(crate) fn directory(&mut self, name: &str) {
        let ends = name.char_indices().filter(|(_, one)| *one == '/').map(|(at, _)| at);
        for end in ends.chain([name.len()]).filter(|end| *end > 0) {
            self.put(&name[..end], DIRECTORY, &[]);
        }
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.put("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn put(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        self.bytes.extend_from_slice(b"070701");
        let (links, size, length) = (1, content.len(), name.len() + 1);
        // Inode, mode, owner, group, links, time, size, four device numbers, name, checksum.
        let before = [self.entries, mode, 0, 0, links, 0].map(|number| number as usize);
        for number in before.into_iter().chain([size, 0, 0, 0, 0, length, 0]) {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busybox_reads_the_archive() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let mut archive = Cpio::default();
        archive.directory("a/b");
        archive.file("a/b/c", 0o750, b"12345");
        let mut busybox = Command::new("/bin/busybox")
            .args(["cpio", "-tv"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        busybox.stdin.take().unwrap().write_all(&archive.finish()).unwrap();
        let output = busybox.wait_with_output().unwrap();
        let listed = String::from_utf8(output.stdout).unwrap();
        let words: Vec<Vec<&str>> =
            listed.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!((words[0][0], words[0].last()), ("drwxr-xr-x", Some(&"a")), "{listed}");
        assert_eq!((words[2][0], words[2][2]), ("-rwxr-x---", "5"), "{listed}");
    }
}
