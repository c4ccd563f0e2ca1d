//! Progress on standard error: bars on a terminal, plain lines elsewhere.

mod bars;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use creel_base::digest::Digest;
use creel_base::id::SHORT;
use creel_base::printable::printable;
use creel_base::size::ByteSize;
use creel_manager::progress::{Event, Progress, Transfer};

use bars::Bars;

/// Shows how a pull or a push goes.
pub(crate) struct Show {
    form: Form,
    /// What has been done with a layer at its end, such as "pulled".
    done: &'static str,
}

enum Form {
    Quiet,
    Lines,
    Bars(Mutex<Bars>),
}

impl Show {
    /// Shows by what standard error is, or not at all.
    pub(crate) fn new(quiet: bool, done: &'static str) -> Self {
        let form = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Form::Quiet,
            (false, true) => Form::Bars(Mutex::new(Bars::new())),
            (false, false) => Form::Lines,
        };
        Self { form, done }
    }

    /// Says a line.
    pub(crate) fn say(&self, line: &str) {
        let line = &printable(line);
        match &self.form {
            Form::Quiet => {}
            Form::Lines => write_line(line),
            Form::Bars(bars) => {
                bars.lock().unwrap_or_else(PoisonError::into_inner).say(line);
            }
        }
    }

    fn line(&self, event: &Event) -> Option<String> {
        let line = |layer: &Digest, words: &str| Some(format!("{}: {words}", short(layer)));
        match event {
            Event::Begun { layer, size: 0 } => line(layer, "begun"),
            Event::Begun { layer, size } => line(layer, &ByteSize(*size).to_string()),
            Event::Waiting { layer } => line(layer, "waiting for another process"),
            Event::Restarted { layer } => line(layer, "what was there is damaged: begun anew"),
            Event::Ended { layer, how } => line(layer, self.words(*how)),
            Event::NoName { text, only } => Some(no_name(text, *only)),
            Event::Advanced { .. } => None,
        }
    }

    const fn words(&self, how: Transfer) -> &'static str {
        match how {
            Transfer::Known => "is there already",
            Transfer::Mounted => "taken from another repository",
            Transfer::Done => self.done,
        }
    }
}

impl Progress for Show {
    fn event(&self, event: &Event) {
        match &self.form {
            // That something is lost is no progress.
            Form::Quiet if !matches!(event, Event::NoName { .. }) => {}
            Form::Quiet | Form::Lines => {
                if let Some(line) = self.line(event) {
                    write_line(&line);
                }
            }
            Form::Bars(bars) => {
                let mut bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    Event::Begun { layer, size } => bars.begin(*layer, *size),
                    Event::Advanced { layer, bytes } => bars.advance(layer, *bytes),
                    Event::NoName { .. }
                    | Event::Waiting { .. }
                    | Event::Restarted { .. }
                    | Event::Ended { .. } => {
                        let line = self.line(event).unwrap_or_default();
                        match event {
                            Event::Ended { layer, .. } => bars.end(layer),
                            Event::Restarted { layer } => bars.restart(layer),
                            _ => {}
                        }
                        bars.say(&line);
                    }
                }
            }
        }
    }
}

/// Quotes what others have written.
fn no_name(text: &str, only: bool) -> String {
    let stays = if only { "the image is found by its id alone" } else { "it is left out" };
    printable(&format!("note: `{text}` is no name: {stays}")).into_owned()
}

fn short(digest: &Digest) -> String {
    digest.hex().chars().take(SHORT).collect()
}

fn write_line(line: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
