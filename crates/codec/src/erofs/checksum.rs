//! CRC-32C (Castagnoli), as the superblock uses it.

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0x82f6_3b78 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// Returns the CRC of `data` begun with all ones and not inverted at the end.
pub(super) fn crc32c(data: impl IntoIterator<Item = u8>) -> u32 {
    data.into_iter().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    #[test]
    fn gives_the_standard_check_value() {
        assert_eq!(!super::crc32c(*b"123456789"), 0xe306_9283);
    }
}
