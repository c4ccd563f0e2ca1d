//! Numbers of the on-disk format.

/// Length of a block in bytes: the only block size written or read.
pub const BLOCK_BYTES: usize = 4096;
pub(super) const BLOCK_BITS: u8 = 12;
pub(super) const SUPER_OFFSET: usize = 1024;
pub(super) const SUPER_BYTES: usize = 128;
pub(super) const MAGIC: u32 = 0xe0f5_e1e2;
pub(super) const DEVICE_SLOT_BYTES: usize = 128;
pub(super) const DEVICE_TAG_BYTES: usize = 64;
/// An inode's number is its offset in these units.
pub(super) const INODE_SLOT_BYTES: usize = 32;
pub(super) const COMPACT_BYTES: usize = 32;
pub(super) const EXTENDED_BYTES: usize = 64;
pub(super) const DIRENT_BYTES: usize = 12;
pub(super) const XATTR_HEADER_BYTES: usize = 12;
pub(super) const XATTR_ENTRY_BYTES: usize = 4;
pub(super) const CHUNK_INDEX_BYTES: usize = 8;

pub(super) const COMPAT_SB_CHKSUM: u32 = 1;
pub(super) const COMPAT_MTIME: u32 = 2;
pub(super) const INCOMPAT_CHUNKED_FILE: u32 = 4;
pub(super) const INCOMPAT_DEVICE_TABLE: u32 = 8;

pub(super) const FLAT_PLAIN: u16 = 0;
pub(super) const FLAT_INLINE: u16 = 2;
pub(super) const CHUNK_BASED: u16 = 4;
/// Flag of the chunk format: 8-byte indexes with a device each.
pub(super) const CHUNK_INDEXES: u16 = 0x20;
pub(super) const CHUNK_BITS_MASK: u16 = 0x1f;

pub(super) const S_IFMT: u16 = 0o170_000;
pub(super) const S_IFDIR: u16 = 0o040_000;
pub(super) const S_IFREG: u16 = 0o100_000;
pub(super) const S_IFLNK: u16 = 0o120_000;
pub(super) const S_IFCHR: u16 = 0o020_000;
pub(super) const S_IFBLK: u16 = 0o060_000;
pub(super) const S_IFIFO: u16 = 0o010_000;
pub(super) const S_IFSOCK: u16 = 0o140_000;

/// Returns the type byte of a directory entry for a mode.
pub(super) const fn dirent_type(mode: u16) -> u8 {
    match mode & S_IFMT {
        S_IFREG => 1,
        S_IFDIR => 2,
        S_IFCHR => 3,
        S_IFBLK => 4,
        S_IFIFO => 5,
        S_IFSOCK => 6,
        S_IFLNK => 7,
        _ => 0,
    }
}

/// Packs a device number as the kernel's `new_encode_dev` does; `None` if it does not fit.
pub(super) const fn encode_device(major: u32, minor: u32) -> Option<u32> {
    if major >= 1 << 12 || minor >= 1 << 20 {
        return None;
    }
    Some(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

/// Undoes [`encode_device`]: major, minor.
pub(super) const fn decode_device(value: u32) -> (u32, u32) {
    (value >> 8 & 0xfff, value & 0xff | value >> 12 & 0xf_ff00)
}

/// The namespaces of extended attributes, and the number of each.
pub(super) const XATTR_PREFIXES: [(u8, &[u8]); 5] = [
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
];
