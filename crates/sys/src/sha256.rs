//! sha256 of two messages at once where both go on with the same bytes.
//!
//! The SHA instructions work on one long chain of dependent rounds, which leaves half of their
//! throughput unused; and what the rounds take from the message is the same for both. So the second
//! hash comes for about a tenth of the first one's time. Source of the algorithm: FIPS 180-4.

/// Bytes that sha256 takes in at a time.
pub const BLOCK: usize = 64;

/// Takes blocks into two states; tells whether it did, as only a processor with SHA instructions
/// does. Each state is the eight words from `a` to `h`.
#[must_use]
pub fn compress_both(first: &mut [u32; 8], second: &mut [u32; 8], blocks: &[[u8; BLOCK]]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("ssse3")
    {
        // SAFETY: the processor has the features that the function is compiled for.
        unsafe { x86::compress_both(first, second, blocks) };
        return true;
    }
    let _ = (first, second, blocks);
    false
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32,
        _mm_set_epi64x, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
        _mm_shuffle_epi8, _mm_shuffle_epi32,
    };

    use super::BLOCK;

    /// The constants of the rounds, by four and by sixteen (FIPS 180-4 section 4.2.2).
    const K: [[[u32; 4]; 4]; 4] = [
        [
            [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
            [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
            [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
            [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        ],
        [
            [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
            [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
            [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
            [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        ],
        [
            [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
            [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
            [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
            [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        ],
        [
            [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
            [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
            [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
            [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
        ],
    ];

    /// A state as the instructions want it, the first letter in the highest lane.
    #[derive(Clone, Copy)]
    struct State {
        abef: __m128i,
        cdgh: __m128i,
    }

    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn compress_both(
        first: &mut [u32; 8],
        second: &mut [u32; 8],
        blocks: &[[u8; BLOCK]],
    ) {
        let (mut one, mut two) = (pack(first), pack(second));
        for block in blocks {
            let before = (one, two);
            let mut message = load(block);
            for (turn, constants) in K.iter().enumerate() {
                for (at, constants) in constants.iter().enumerate() {
                    if turn > 0 {
                        extend(&mut message, at);
                    }
                    rounds(&mut one, &mut two, message[at], constants);
                }
            }
            (one, two) = (add(one, before.0), add(two, before.1));
        }
        (*first, *second) = (unpack(one), unpack(two));
    }

    /// Does four rounds of both.
    #[inline]
    #[target_feature(enable = "sha,sse2")]
    fn rounds(one: &mut State, two: &mut State, words: __m128i, constants: &[u32; 4]) {
        let [k0, k1, k2, k3] = constants.map(u32::cast_signed);
        let low = _mm_add_epi32(words, _mm_set_epi32(k3, k2, k1, k0));
        let high = _mm_shuffle_epi32::<0b1110>(low);
        one.cdgh = _mm_sha256rnds2_epu32(one.cdgh, one.abef, low);
        two.cdgh = _mm_sha256rnds2_epu32(two.cdgh, two.abef, low);
        one.abef = _mm_sha256rnds2_epu32(one.abef, one.cdgh, high);
        two.abef = _mm_sha256rnds2_epu32(two.abef, two.cdgh, high);
    }

    /// Replaces the oldest four words of the message, which are at `at`, by the next four.
    #[inline]
    #[target_feature(enable = "sha,ssse3")]
    fn extend(message: &mut [__m128i; 4], at: usize) {
        let (w0, w4) = (message[at], message[(at + 1) % 4]);
        let (w8, w12) = (message[(at + 2) % 4], message[(at + 3) % 4]);
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), _mm_alignr_epi8::<4>(w12, w8));
        message[at] = _mm_sha256msg2_epu32(sum, w12);
    }

    /// Reads a block's words, which are big-endian.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn load(block: &[u8; BLOCK]) -> [__m128i; 4] {
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let from: *const __m128i = block.as_ptr().cast();
        // SAFETY: the four reads of 16 bytes are the 64 of the block; no alignment is needed.
        let words = unsafe {
            [
                _mm_loadu_si128(from),
                _mm_loadu_si128(from.add(1)),
                _mm_loadu_si128(from.add(2)),
                _mm_loadu_si128(from.add(3)),
            ]
        };
        let [a, b, c, d] = words;
        [
            _mm_shuffle_epi8(a, swap),
            _mm_shuffle_epi8(b, swap),
            _mm_shuffle_epi8(c, swap),
            _mm_shuffle_epi8(d, swap),
        ]
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn pack(state: &[u32; 8]) -> State {
        let [a, b, c, d, e, f, g, h] = state.map(u32::cast_signed);
        State { abef: _mm_set_epi32(a, b, e, f), cdgh: _mm_set_epi32(c, d, g, h) }
    }

    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn unpack(State { abef, cdgh }: State) -> [u32; 8] {
        [
            _mm_extract_epi32::<3>(abef),
            _mm_extract_epi32::<2>(abef),
            _mm_extract_epi32::<3>(cdgh),
            _mm_extract_epi32::<2>(cdgh),
            _mm_extract_epi32::<1>(abef),
            _mm_extract_epi32::<0>(abef),
            _mm_extract_epi32::<1>(cdgh),
            _mm_extract_epi32::<0>(cdgh),
        ]
        .map(i32::cast_unsigned)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn add(one: State, other: State) -> State {
        State {
            abef: _mm_add_epi32(one.abef, other.abef),
            cdgh: _mm_add_epi32(one.cdgh, other.cdgh),
        }
    }
}
