//! Writing an index file: over one pack, or over many.

use std::io::{self, Write};

use creel_base::digest::{Algorithm, Hasher};

use super::{PackId, Record};

pub(crate) const INDEX_MAGIC: [u8; 8] = *b"creel-ix";
pub(crate) const INDEX_VERSION: u32 = 1;
pub(crate) const HEADER: usize = 64;
pub(crate) const PACK_ENTRY: usize = 32;
pub(crate) const ENTRY: usize = 64;
/// Where in an entry its state is: 0 live, 1 dropped.
pub(crate) const STATE_AT: usize = 61;
pub(crate) const CHECKSUM: usize = 32;
/// Buckets hold about this many entries, so that a look-up reads one kilobyte.
const PER_BUCKET: u64 = 16;
pub(crate) const MAX_FAN_BITS: u32 = 16;

/// How many leading bits of an object id choose the bucket, for `count` objects.
pub(crate) fn fan_bits(count: u64) -> u32 {
    (count / PER_BUCKET).checked_ilog2().map_or(0, |bits| (bits + 1).min(MAX_FAN_BITS))
}

/// The bucket of an object id.
pub(crate) fn bucket(id: &[u8; 32], bits: u32) -> usize {
    let lead = u32::from(u16::from_be_bytes([id[0], id[1]]));
    (lead >> (16 - bits.min(16))) as usize
}

/// Writes an index of `records`, which are sorted by object id and lie in `packs` only.
///
/// `packs` gives each pack and its length in bytes, sorted.
pub(crate) fn write(
    out: &mut impl Write,
    packs: &[(PackId, u64)],
    records: &[Record],
) -> io::Result<()> {
    let too_many = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let count = u32::try_from(records.len()).map_err(too_many)?;
    let bits = fan_bits(u64::from(count));
    let mut out = Hashed { inner: out, hasher: Hasher::new(Algorithm::Sha256) };
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&INDEX_MAGIC);
    header[8..12].copy_from_slice(&INDEX_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&bits.to_le_bytes());
    header[16..20].copy_from_slice(&count.to_le_bytes());
    header[20..24].copy_from_slice(&u32::try_from(packs.len()).map_err(too_many)?.to_le_bytes());
    out.write(&header)?;
    for (pack, length) in packs {
        let mut entry = [0; PACK_ENTRY];
        entry[..16].copy_from_slice(&pack.0);
        entry[16..24].copy_from_slice(&length.to_le_bytes());
        out.write(&entry)?;
    }
    out.write(&fan_out(records, bits))?;
    for record in records {
        let slot = packs
            .binary_search_by_key(&record.at.pack, |pack| pack.0)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        out.write(&entry(record, u32::try_from(slot).map_err(too_many)?))?;
    }
    let sum = out.hasher.finish();
    out.inner.write_all(sum.as_bytes())
}

/// For each bucket the number of entries in it and all before it.
fn fan_out(records: &[Record], bits: u32) -> Vec<u8> {
    let mut ends = vec![0_u32; 1 << bits];
    for record in records {
        ends[bucket(&record.id.0, bits)] += 1;
    }
    let mut total = 0;
    let cumulative = ends.iter().map(|count| {
        total += count;
        total
    });
    cumulative.flat_map(u32::to_le_bytes).collect()
}

fn entry(record: &Record, slot: u32) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..32].copy_from_slice(&record.id.0);
    entry[32..40].copy_from_slice(&record.at.offset.to_le_bytes());
    entry[40..48].copy_from_slice(&record.at.stored.to_le_bytes());
    entry[48..56].copy_from_slice(&record.at.logical.to_le_bytes());
    entry[56..60].copy_from_slice(&slot.to_le_bytes());
    entry
}

struct Hashed<'a, W> {
    inner: &'a mut W,
    hasher: Hasher,
}

impl<W: Write> Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use creel_base::digest::ObjectId;

    use super::super::Location;
    use super::*;

    /// The format does not change without a new version: `docs/formats/index.md`.
    #[test]
    fn golden_index() {
        let pack = PackId([0xab; 16]);
        let mut records: Vec<_> = (0..100_u64)
            .map(|number| Record {
                id: ObjectId::of(&number.to_le_bytes()),
                at: Location { pack, offset: 4096 + number * 8, stored: 8, logical: 8 },
            })
            .collect();
        records.sort_unstable_by_key(|record| record.id);
        let mut bytes = Vec::new();
        write(&mut bytes, &[(pack, 8192)], &records).unwrap();
        assert_eq!(fan_bits(100), 3);
        assert_eq!(bytes.len(), 64 + 32 + 4 * 8 + 64 * 100 + 32);
        assert_eq!(
            ObjectId::of(&bytes).hex(),
            "ead8cc7aca3f7f2c72425d2a8862e808a9e7c4ae782ebbeaa41c20ecbe21bcd4"
        );
    }
}
