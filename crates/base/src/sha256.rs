//! A running sha256 that can take bytes in together with another one.

use creel_sys::sha256::{BLOCK, compress_both};
use sha2::block_api::compress256;

/// Where a block keeps the length of the message, in bits.
const LENGTH_AT: usize = BLOCK - 8;
/// The state before the first block (FIPS 180-4 section 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A running hash.
#[derive(Clone, Debug)]
pub(crate) struct Sha256 {
    state: [u32; 8],
    /// The block that is not full yet.
    block: [u8; BLOCK],
    filled: usize,
    /// Bytes taken in; more than 2^61 cannot be hashed, nor come.
    length: u64,
}

impl Sha256 {
    pub(crate) const fn new() -> Self {
        Self { state: START, block: [0; BLOCK], filled: 0, length: 0 }
    }

    /// Adds bytes.
    pub(crate) fn update(&mut self, data: &[u8]) {
        let (blocks, rest) = self.complete(data).as_chunks();
        if !blocks.is_empty() {
            compress256(&mut self.state, blocks);
        }
        self.keep(rest);
    }

    /// Adds the same bytes to both.
    pub(crate) fn update_both(&mut self, other: &mut Self, data: &[u8]) {
        // Alike in files of archives, which begin at multiples of 512.
        if self.filled != other.filled {
            self.update(data);
            other.update(data);
            return;
        }
        other.complete(data);
        let (blocks, rest) = self.complete(data).as_chunks();
        if !compress_both(&mut self.state, &mut other.state, blocks) {
            compress256(&mut self.state, blocks);
            compress256(&mut other.state, blocks);
        }
        self.keep(rest);
        other.keep(rest);
    }

    /// Completes the block that has begun, as far as `data` goes, and returns what is left of it.
    fn complete<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        self.length = self.length.wrapping_add(data.len() as u64);
        if self.filled == 0 {
            return data;
        }
        let (now, rest) = data.split_at(data.len().min(BLOCK - self.filled));
        self.keep(now);
        if self.filled == BLOCK {
            compress256(&mut self.state, &[self.block]);
            self.filled = 0;
        }
        rest
    }

    /// Keeps bytes that the block has room for.
    fn keep(&mut self, data: &[u8]) {
        let end = self.filled + data.len();
        self.block[self.filled..end].copy_from_slice(data);
        self.filled = end;
    }

    /// Ends the hash (FIPS 180-4 section 5.1.1).
    pub(crate) fn finish(mut self) -> [u8; 32] {
        let bits = self.length.wrapping_mul(8).to_be_bytes();
        self.block[self.filled] = 0x80;
        self.block[self.filled + 1..].fill(0);
        if self.filled >= LENGTH_AT {
            compress256(&mut self.state, &[self.block]);
            self.block.fill(0);
        }
        self.block[LENGTH_AT..].copy_from_slice(&bits);
        compress256(&mut self.state, &[self.block]);
        let mut hash = [0; 32];
        for (bytes, word) in hash.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
    }

    #[test]
    fn agrees_with_another_implementation_at_every_length_and_split() {
        for length in 0..300 {
            let message = message(length);
            let expected: [u8; 32] = sha2::Sha256::digest(&message).into();
            for split in [0, 1, 55, 56, 63, 64, 65, 128, 200] {
                let (left, right) = message.split_at(split.min(length));
                let mut hash = Sha256::new();
                hash.update(left);
                hash.update(right);
                assert_eq!(hash.finish(), expected, "{length} bytes, split at {split}");
            }
        }
    }

    #[test]
    fn two_at_once_are_what_each_is_alone() {
        let message = message(1000);
        for (before, length) in [(0, 1000), (512, 777), (64, 64), (13, 500), (61, 2), (61, 3)] {
            for skew in [0, 64, 5] {
                let (mut long, mut short) = (Sha256::new(), Sha256::new());
                long.update(&vec![7; before + skew]);
                short.update(&vec![9; before]);
                long.update_both(&mut short, &message[..length]);
                short.update(b"end");
                let long_message = [vec![7; before + skew], message[..length].to_vec()].concat();
                let short_message = [&vec![9; before], &message[..length], b"end"].concat();
                let expected: [[u8; 32]; 2] =
                    [long_message, short_message].map(|all| sha2::Sha256::digest(&all).into());
                assert_eq!([long.finish(), short.finish()], expected);
            }
        }
    }
}
