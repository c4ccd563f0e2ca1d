//! The reader: tar bytes in, content and verbatim bytes out, a tree at the end.

use creel_base::digest::ObjectId;

use super::build::{Builder, What};
use super::header::{BLOCK, Header};
use super::member::{Body, Member, Pending};
use super::names::{self, Place};
use super::pax::Pax;
use super::sparse::{Segments, SparseMap, TextMap};
use super::{LayerError, Limits, SinkError};
use crate::tree::{Kind, Meta, Tree};

/// Receives what an archive holds, in the order of its bytes.
///
/// All bytes of the archive come either by [`verbatim`](Self::verbatim) or by
/// [`data`](Self::data); together in order they are the archive.
pub trait LayerSink {
    /// Why content cannot be kept.
    type Error: Into<SinkError>;

    /// A file of `size` bytes begins, holes counted.
    ///
    /// # Errors
    ///
    /// Ends the reading.
    fn begin(&mut self, size: u64) -> Result<(), Self::Error>;

    /// The next bytes of the file.
    ///
    /// # Errors
    ///
    /// Ends the reading.
    fn data(&mut self, data: &[u8]) -> Result<(), Self::Error>;

    /// The next `length` bytes of the file are zeros that the archive does not store.
    ///
    /// # Errors
    ///
    /// Ends the reading.
    fn hole(&mut self, length: u64) -> Result<(), Self::Error>;

    /// The file is complete: returns the sha256 of its content.
    ///
    /// # Errors
    ///
    /// Ends the reading.
    fn end(&mut self) -> Result<ObjectId, Self::Error>;

    /// Bytes of the archive that are no file content. May come between parts of a file.
    ///
    /// # Errors
    ///
    /// Ends the reading.
    fn verbatim(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// A regular file whose content is being read.
struct File {
    place: Place,
    meta: Meta,
    size: u64,
    /// Parts still to come; the first one's offset moves on as it is read.
    segments: Segments,
    /// How much of the file has been passed on.
    at: u64,
    /// Bytes that fill the last block.
    padding: u64,
}

/// What the next bytes are.
enum State {
    Header,
    /// The content of an extension: its type flag, its bytes so far, and how many are missing.
    Extension {
        kind: u8,
        data: Vec<u8>,
        missing: u64,
        padding: u64,
    },
    /// More of an old GNU sparse map.
    SparseBlocks {
        file: File,
        stored: u64,
        map: SparseMap,
    },
    /// The sparse map at the start of a file's data.
    SparseText {
        file: File,
        stored: u64,
        map: TextMap,
    },
    Data(File),
    Padding(u64),
    /// One block of zeros has come.
    HalfEnd,
    /// What follows the end mark: so many bytes yet.
    Trailing(u64),
    /// An error was returned.
    Failed,
}

/// Reads a layer's tar as it comes.
///
/// As other readers do, it takes an archive that ends between entries without an end mark, or with
/// half of one, and does not look at what follows the mark.
pub struct LayerReader {
    limits: Limits,
    state: State,
    block: [u8; BLOCK],
    filled: usize,
    /// Bytes read.
    offset: u64,
    content_bytes: u64,
    xattr_bytes: u64,
    global: Pax,
    pending: Pending,
    builder: Builder,
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn sink<T, E: Into<SinkError>>(result: Result<T, E>) -> Result<T, LayerError> {
    result.map_err(|error| LayerError::Sink(error.into()))
}

impl LayerReader {
    /// Starts reading.
    pub fn new(limits: Limits) -> Self {
        Self {
            state: State::Header,
            block: [0; BLOCK],
            filled: 0,
            offset: 0,
            content_bytes: 0,
            xattr_bytes: 0,
            global: Pax::default(),
            pending: Pending::default(),
            builder: Builder::new(limits.clone()),
            limits,
        }
    }

    /// Reads the next bytes of the archive, in pieces of any size.
    ///
    /// # Errors
    ///
    /// [`LayerError`]; after one, every call fails.
    pub fn feed<S: LayerSink>(&mut self, mut input: &[u8], to: &mut S) -> Result<(), LayerError> {
        while !input.is_empty() {
            let state = core::mem::replace(&mut self.state, State::Failed);
            self.state = self.step(state, &mut input, to)?;
            self.within("bytes", self.offset, self.limits.total_bytes)?;
        }
        Ok(())
    }

    /// Ends the archive and returns the tree it holds.
    ///
    /// # Errors
    ///
    /// [`LayerError::Truncated`] unless the archive ends between entries, and what only shows at
    /// the end, such as hard links in a circle.
    pub fn finish<S: LayerSink>(self, _to: &mut S) -> Result<Tree, LayerError> {
        let inside = match self.state {
            State::Failed => return Err(LayerError::Failed),
            State::Header | State::HalfEnd if self.filled > 0 => "a header",
            State::Header | State::HalfEnd if !self.pending.is_empty() => "an extended entry",
            State::Header | State::HalfEnd | State::Trailing(_) => return self.builder.finish(),
            State::Extension { .. } => "an extension",
            State::SparseBlocks { .. } | State::SparseText { .. } => "a sparse map",
            State::Data(_) | State::Padding(_) => "an entry",
        };
        Err(LayerError::Truncated { offset: self.offset, what: inside })
    }

    fn step<S: LayerSink>(
        &mut self,
        state: State,
        input: &mut &[u8],
        to: &mut S,
    ) -> Result<State, LayerError> {
        match state {
            State::Header | State::HalfEnd => {
                let Some(block) = self.block(input, to)? else { return Ok(state) };
                let half = matches!(state, State::HalfEnd);
                self.header(&block, half, to)
            }
            State::Extension { kind, mut data, missing, padding } => {
                let part = self.take(input, missing);
                sink(to.verbatim(part))?;
                data.extend_from_slice(part);
                match missing - part.len() as u64 {
                    0 => {
                        self.extension(kind, &data)?;
                        Ok(State::Padding(padding).skip_empty())
                    }
                    missing => Ok(State::Extension { kind, data, missing, padding }),
                }
            }
            State::SparseBlocks { file, stored, mut map } => {
                let Some(block) = self.block(input, to)? else {
                    return Ok(State::SparseBlocks { file, stored, map });
                };
                let more = self.valid(map.push_block(&block))?;
                self.within(
                    "bytes of a sparse map",
                    map.0.len() as u64 * 8,
                    self.limits.extension_bytes,
                )?;
                if more {
                    return Ok(State::SparseBlocks { file, stored, map });
                }
                self.start_sparse(file, map, stored, to)
            }
            State::SparseText { file, stored, mut map } => {
                let Some(block) = self.block(input, to)? else {
                    return Ok(State::SparseText { file, stored, map });
                };
                let done = self.valid(map.push_block(&block))?;
                self.within(
                    "bytes of a sparse map",
                    map.map.0.len() as u64 * 8,
                    self.limits.extension_bytes,
                )?;
                let stored =
                    self.valid(stored.checked_sub(BLOCK as u64).ok_or("sparse map is cut"))?;
                if !done {
                    return Ok(State::SparseText { file, stored, map });
                }
                self.start_sparse(file, map.map, stored, to)
            }
            State::Data(file) => self.data(file, input, to),
            State::Padding(missing) => {
                let part = self.take(input, missing);
                sink(to.verbatim(part))?;
                Ok(State::Padding(missing - part.len() as u64).skip_empty())
            }
            State::Trailing(left) => {
                let part = self.take(input, u64::MAX);
                let limit = self.limits.trailing_bytes;
                let left = left.checked_sub(part.len() as u64);
                let left =
                    left.ok_or(LayerError::TooLarge { what: "bytes after its end", limit })?;
                sink(to.verbatim(part))?;
                Ok(State::Trailing(left))
            }
            State::Failed => Err(LayerError::Failed),
        }
    }

    /// Takes at most `most` bytes off the front of `input`.
    fn take<'a>(&mut self, input: &mut &'a [u8], most: u64) -> &'a [u8] {
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
        let (taken, rest) = input.split_at(length);
        *input = rest;
        self.offset = self.offset.saturating_add(length as u64);
        taken
    }

    /// Returns the next block once it is complete.
    fn block<S: LayerSink>(
        &mut self,
        input: &mut &[u8],
        to: &mut S,
    ) -> Result<Option<[u8; BLOCK]>, LayerError> {
        let part = self.take(input, (BLOCK - self.filled) as u64);
        if let Some(room) = self.block.get_mut(self.filled..self.filled + part.len()) {
            room.copy_from_slice(part);
        }
        self.filled += part.len();
        if self.filled < BLOCK {
            return Ok(None);
        }
        self.filled = 0;
        sink(to.verbatim(&self.block))?;
        Ok(Some(self.block))
    }

    fn header<S: LayerSink>(
        &mut self,
        block: &[u8; BLOCK],
        half: bool,
        to: &mut S,
    ) -> Result<State, LayerError> {
        let start = self.offset.saturating_sub(BLOCK as u64);
        if block == &[0; BLOCK] {
            if !self.pending.is_empty() {
                return Err(self.invalid("it extends nothing"));
            }
            return Ok(if half {
                State::Trailing(self.limits.trailing_bytes)
            } else {
                State::HalfEnd
            });
        }
        if half {
            return Err(LayerError::HalfEnd { offset: start });
        }
        let header = Header::new(block).ok_or(LayerError::Checksum { offset: start })?;
        match header.kind() {
            kind @ (b'x' | b'g' | b'L' | b'K') => self.start_extension(kind, header),
            _ => self.member(header, to),
        }
    }

    fn start_extension(&mut self, kind: u8, header: Header<'_>) -> Result<State, LayerError> {
        let size = self.valid(header.size().ok_or("its size"))?;
        self.within("bytes in an extension", size, self.limits.extension_bytes)?;
        self.valid(self.pending.may_add(kind))?;
        if size == 0 {
            self.extension(kind, &[])?;
            return Ok(State::Header);
        }
        Ok(State::Extension { kind, data: Vec::new(), missing: size, padding: padding(size) })
    }

    fn extension(&mut self, kind: u8, data: &[u8]) -> Result<(), LayerError> {
        if kind == b'g' {
            self.global = self.valid(Pax::parse(data, &self.global))?;
            if self.global.names_one_entry() {
                return Err(self.invalid("global name, size or sparse map"));
            }
            return Ok(());
        }
        let added = self.pending.add(kind, data, &self.global);
        self.valid(added)
    }

    fn member<S: LayerSink>(
        &mut self,
        header: Header<'_>,
        to: &mut S,
    ) -> Result<State, LayerError> {
        let member = Member::new(header, core::mem::take(&mut self.pending), &self.global)?;
        let xattrs = member.meta.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len());
        self.xattr_bytes = self.xattr_bytes.saturating_add(xattrs.sum::<usize>() as u64);
        self.within("bytes of extended attributes", self.xattr_bytes, self.limits.xattr_bytes)?;
        let place = names::place(names::normalise(&member.path, self.limits.depth)?)?;
        let what = match member.body {
            Body::Ignored => return Ok(State::Header),
            Body::Inode(kind) => What::Inode(member.meta, kind),
            Body::Link(target) => {
                let target = names::normalise(&target, self.limits.depth)?;
                match names::place(target)? {
                    Place::Path(target) => What::Link(target.into()),
                    _ => {
                        return Err(LayerError::Name {
                            path: member.path.into(),
                            what: "it links to a whiteout",
                        });
                    }
                }
            }
            Body::File { size, stored, sparse } => {
                self.content_bytes = self.content_bytes.saturating_add(size);
                self.within("bytes of files", self.content_bytes, self.limits.total_bytes)?;
                if stored > 0 && matches!(&place, Place::Path(path) if path.is_empty()) {
                    return Err(LayerError::Entry {
                        path: member.path.into(),
                        what: "root is no directory",
                    });
                }
                let padding = padding(stored);
                let meta = member.meta;
                let file = File { place, meta, size, segments: Segments::new(), at: 0, padding };
                return self.start_file(file, stored, sparse, header, to);
            }
        };
        self.place(place, what)?;
        Ok(State::Header)
    }

    fn start_file<S: LayerSink>(
        &mut self,
        mut file: File,
        stored: u64,
        sparse: super::member::Sparse,
        header: Header<'_>,
        to: &mut S,
    ) -> Result<State, LayerError> {
        use super::member::Sparse;
        match sparse {
            Sparse::No => {
                file.segments.push_back((0, stored));
                self.begin(file, to)
            }
            Sparse::Records(map) => self.start_sparse(file, map, stored, to),
            Sparse::Header => {
                let mut map = SparseMap::default();
                if self.valid(map.push_header(header))? {
                    return Ok(State::SparseBlocks { file, stored, map });
                }
                self.start_sparse(file, map, stored, to)
            }
            Sparse::Text => Ok(State::SparseText { file, stored, map: TextMap::default() }),
        }
    }

    fn start_sparse<S: LayerSink>(
        &mut self,
        mut file: File,
        map: SparseMap,
        stored: u64,
        to: &mut S,
    ) -> Result<State, LayerError> {
        file.segments = self.valid(map.segments(file.size, stored))?;
        self.begin(file, to)
    }

    fn begin<S: LayerSink>(&mut self, file: File, to: &mut S) -> Result<State, LayerError> {
        sink(to.begin(file.size))?;
        self.data(file, &mut &[][..], to)
    }

    /// Passes on what there is of a file, holes too, and ends it when it is complete.
    fn data<S: LayerSink>(
        &mut self,
        mut file: File,
        input: &mut &[u8],
        to: &mut S,
    ) -> Result<State, LayerError> {
        while let Some((offset, length)) = file.segments.front_mut() {
            if *offset > file.at {
                sink(to.hole(*offset - file.at))?;
                file.at = *offset;
            }
            let part = self.take(input, *length);
            if !part.is_empty() {
                sink(to.data(part))?;
            }
            file.at += part.len() as u64;
            *offset = file.at;
            *length -= part.len() as u64;
            if *length > 0 {
                return Ok(State::Data(file));
            }
            file.segments.pop_front();
        }
        if file.size > file.at {
            sink(to.hole(file.size - file.at))?;
        }
        let object = sink(to.end())?;
        let kind = Kind::File { size: file.size, object };
        self.place(file.place, What::Inode(file.meta, kind))?;
        Ok(State::Padding(file.padding).skip_empty())
    }

    fn place(&mut self, place: Place, what: What) -> Result<(), LayerError> {
        match place {
            Place::Path(path) => self.builder.add(&path, what),
            Place::Whiteout(path) => self.builder.whiteout(&path),
            Place::Opaque(path) => self.builder.opaque(&path),
            Place::Reserved => Ok(()),
        }
    }

    fn within(&self, what: &'static str, value: u64, limit: u64) -> Result<(), LayerError> {
        if value > limit { Err(LayerError::TooLarge { what, limit }) } else { Ok(()) }
    }

    fn valid<T>(&self, result: Result<T, &'static str>) -> Result<T, LayerError> {
        result.map_err(|what| self.invalid(what))
    }

    fn invalid(&self, what: &'static str) -> LayerError {
        LayerError::Extension { offset: self.offset, what }
    }
}

impl State {
    fn skip_empty(self) -> Self {
        if matches!(self, Self::Padding(0)) { Self::Header } else { self }
    }
}
