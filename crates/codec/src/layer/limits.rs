//! What reading an archive may cost.

/// Bounds of an archive. What is beyond is [`LayerError::TooLarge`](super::LayerError::TooLarge).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the archive, and bytes of all files together with holes counted as zeros.
    pub total_bytes: u64,
    /// Entries, implied directories and whiteouts counted.
    pub entries: u32,
    /// Components of a path.
    pub depth: usize,
    /// Bytes of all names and link targets together.
    pub name_bytes: u64,
    /// Bytes of all paths together, written out.
    pub path_bytes: u64,
    /// Bytes of all extended attributes together, names included.
    pub xattr_bytes: u64,
    /// Bytes of one PAX or GNU extension, and of one sparse map.
    pub extension_bytes: u64,
    /// Bytes after the end mark.
    pub trailing_bytes: u64,
}

impl Default for Limits {
    /// 1 TiB, 16 million entries, 1024 levels, 1 GiB of names, 2 GiB of
    /// paths, 256 MiB of extended attributes,
    /// 1 MiB an extension (as Go's `archive/tar`), 16 MiB after the end mark.
    fn default() -> Self {
        Self {
            total_bytes: 1 << 40,
            entries: 1 << 24,
            depth: 1024,
            name_bytes: 1 << 30,
            path_bytes: 2 << 30,
            xattr_bytes: 256 << 20,
            extension_bytes: 1 << 20,
            trailing_bytes: 16 << 20,
        }
    }
}
