//! Writing a tape while an archive is read.

use std::io::{self, Write};

use creel_base::digest::ObjectId;

use super::{BYTES, CONTENT, END, MAX_BYTES, SAME};

/// Records an archive; its calls are those of [`LayerSink`](crate::layer::LayerSink).
pub struct TapeWriter<W: Write> {
    out: W,
    /// Bytes of the archive not yet written.
    bytes: Vec<u8>,
    /// The file being read.
    file: Option<File>,
}

/// What is known of a file before its name is: parts, and bytes of the archive between them.
#[derive(Default)]
struct File {
    at: u64,
    steps: Vec<Step>,
}

enum Step {
    Part { offset: u64, length: u64 },
    Bytes(Vec<u8>),
}

impl<W: Write> TapeWriter<W> {
    /// Starts a tape.
    pub const fn new(out: W) -> Self {
        Self { out, bytes: Vec::new(), file: None }
    }

    /// A file begins.
    pub fn begin(&mut self) {
        self.file = Some(File::default());
    }

    /// The next `length` bytes of the archive are of the file.
    pub fn data(&mut self, length: u64) {
        let Some(file) = self.file.as_mut().filter(|_| length > 0) else { return };
        match file.steps.last_mut() {
            Some(Step::Part { offset, length: before })
                if offset.saturating_add(*before) == file.at =>
            {
                *before = before.saturating_add(length);
            }
            _ => file.steps.push(Step::Part { offset: file.at, length }),
        }
        file.at = file.at.saturating_add(length);
    }

    /// The file has `length` zeros that the archive has not.
    pub fn hole(&mut self, length: u64) {
        if let Some(file) = &mut self.file {
            file.at = file.at.saturating_add(length);
        }
    }

    /// The file has ended and is this content.
    ///
    /// # Errors
    ///
    /// Those of the writer below.
    pub fn end(&mut self, object: &ObjectId) -> io::Result<()> {
        let Some(File { at: size, steps }) = self.file.take() else { return Ok(()) };
        let mut named = false;
        for step in steps {
            match step {
                Step::Bytes(bytes) => self.verbatim(&bytes)?,
                Step::Part { offset, length } => {
                    self.flush()?;
                    if named {
                        self.out.write_all(&[SAME])?;
                    } else {
                        self.out.write_all(&[CONTENT])?;
                        self.out.write_all(&object.0)?;
                        self.out.write_all(&size.to_le_bytes())?;
                    }
                    named = true;
                    self.out.write_all(&offset.to_le_bytes())?;
                    self.out.write_all(&length.to_le_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// The next bytes of the archive are not of a file.
    ///
    /// # Errors
    ///
    /// Those of the writer below.
    pub fn verbatim(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.steps.push(Step::Bytes(bytes.to_vec()));
            return Ok(());
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= MAX_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the tape and returns what it was written to.
    ///
    /// # Errors
    ///
    /// Those of the writer below.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.out.write_all(&[END])?;
        Ok(self.out)
    }

    fn flush(&mut self) -> io::Result<()> {
        for piece in self.bytes.chunks(MAX_BYTES) {
            let length = u32::try_from(piece.len()).unwrap_or_default();
            self.out.write_all(&[BYTES])?;
            self.out.write_all(&length.to_le_bytes())?;
            self.out.write_all(piece)?;
        }
        self.bytes.clear();
        Ok(())
    }
}
