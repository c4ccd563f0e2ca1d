//! Bars at the bottom of a terminal, one a layer under way; what has been said stays above them.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use creel_base::digest::Digest;
use creel_base::size::ByteSize;

use super::short;

/// Between two drawings: often enough to look alive, seldom enough to cost nothing.
const INTERVAL: Duration = Duration::from_millis(100);
/// Most columns of a bar itself, and the least that show anything.
const BAR: usize = 30;
const LEAST_BAR: usize = 6;
/// Columns of what is beside a bar: the layer, `[] `, and `1023.9 MiB of 1023.9 MiB, 1023.9 MiB/s`.
const BESIDE: usize = 12 + 6 + 37;
/// Clears from the cursor to the end of the screen (ECMA-48, ED).
const CLEAR_BELOW: &str = "\x1b[J";

/// The bars of one operation.
pub(super) struct Bars {
    rows: Vec<Row>,
    /// Columns of the lines on the screen that will be drawn over.
    drawn: Vec<usize>,
    last: Option<Instant>,
}

struct Row {
    layer: Digest,
    size: u64,
    done: u64,
    begun: Instant,
}

impl Bars {
    pub(super) const fn new() -> Self {
        Self { rows: Vec::new(), drawn: Vec::new(), last: None }
    }

    pub(super) fn begin(&mut self, layer: Digest, size: u64) {
        self.rows.push(Row { layer, size, done: 0, begun: Instant::now() });
        self.draw("");
    }

    pub(super) fn advance(&mut self, layer: &Digest, bytes: u64) {
        if let Some(row) = self.row(layer) {
            row.done = row.done.saturating_add(bytes);
        }
        if self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.draw("");
        }
    }

    pub(super) fn restart(&mut self, layer: &Digest) {
        if let Some(row) = self.row(layer) {
            row.done = 0;
        }
    }

    pub(super) fn end(&mut self, layer: &Digest) {
        self.rows.retain(|row| row.layer != *layer);
    }

    /// Says a line above the bars.
    pub(super) fn say(&mut self, line: &str) {
        self.draw(&format!("{line}\n"));
    }

    fn row(&mut self, layer: &Digest) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.layer == *layer)
    }

    fn draw(&mut self, above: &str) {
        self.last = Some(Instant::now());
        let (width, height) = size();
        let rows: Vec<String> = self.rows.iter().take(height).map(|row| row.line(width)).collect();
        let mut text = up(self.lines(width));
        text.push_str(above);
        for row in &rows {
            text.push_str(row);
            text.push('\n');
        }
        self.drawn = rows.iter().map(|row| row.chars().count()).collect();
        // Nobody is left to tell when this fails.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

impl Bars {
    /// The lines that what was drawn takes now: a terminal that got narrower has wrapped it.
    fn lines(&self, width: usize) -> usize {
        self.drawn.iter().map(|columns| columns.div_ceil(width).max(1)).sum()
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if !self.drawn.is_empty() {
            let _ = io::stderr().lock().write_all(up(self.lines(size().0)).as_bytes());
        }
    }
}

impl Row {
    /// What fits: the numbers say more than the bar, and the bar more than the speed.
    fn line(&self, width: usize) -> String {
        let room = width.saturating_sub(1);
        let (done, size) = (ByteSize(self.done), ByteSize(self.size));
        let mut line = format!("{}  ", short(&self.layer));
        line.push_str(&self.bar(room.saturating_sub(BESIDE).min(BAR)));
        line.push_str(&match self.size {
            0 => done.to_string(),
            _ => format!("{done} of {size}"),
        });
        let speed = self.speed().map(|speed| format!(", {}/s", ByteSize(speed)));
        let speed = speed.filter(|speed| line.len() + speed.len() <= room);
        line.push_str(&speed.unwrap_or_default());
        line.chars().take(room).collect()
    }

    fn bar(&self, length: usize) -> String {
        if length < LEAST_BAR {
            return String::new();
        }
        let share = u128::from(self.done) * length as u128;
        let share = share.checked_div(u128::from(self.size)).unwrap_or(0);
        let filled = usize::try_from(share).unwrap_or(length).min(length);
        format!("[{}{}]  ", "=".repeat(filled), " ".repeat(length - filled))
    }

    /// Bytes a second, once it means something.
    fn speed(&self) -> Option<u64> {
        let time = self.begun.elapsed();
        if time < Duration::from_millis(500) {
            return None;
        }
        u64::try_from(u128::from(self.done) * 1000 / time.as_millis().max(1)).ok()
    }
}

/// Moves the cursor to the start of the line so many lines above, and clears from there (ECMA-48).
fn up(lines: usize) -> String {
    match lines {
        0 => String::new(),
        lines => format!("\x1b[{lines}A\r{CLEAR_BELOW}"),
    }
}

/// Columns, and lines that bars may take.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    let known = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let (columns, lines) = known.map_or((80, 24), |size| (size.ws_col, size.ws_row));
    (usize::from(columns), usize::from(lines).saturating_sub(2).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fits_its_line_and_never_overflows() {
        let layer = Digest::sha256(b"x");
        let row = |done, size| Row { layer, size, done, begun: Instant::now() };
        let line = row(512, 1024).line(100);
        assert!(line.contains("[===============               ]  512 B of 1 KiB"), "{line}");
        let narrow = row(512, 1024).line(80);
        assert!(narrow.contains(&format!("[{}{}]", "=".repeat(12), " ".repeat(12))), "{narrow}");
        assert!(row(512, 1024).line(40).ends_with("  512 B of 1 KiB"));
        assert_eq!(row(512, 1024).line(20).chars().count(), 19);
        assert!(row(u64::MAX, 1).line(100).contains(&"=".repeat(BAR)));
        assert!(row(5, 0).line(80).ends_with("]  5 B"));
        let bars = Bars { rows: Vec::new(), drawn: vec![79, 39], last: None };
        assert_eq!((bars.lines(80), bars.lines(40), bars.lines(20)), (2, 3, 6));
    }
}
