//! What is odd about a policy without being wrong.

use std::fmt;

/// Something that does not do what it looks like. Places are `FILE:LINE:COLUMN`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Remark {
    /// A line on a call that an earlier one decides about.
    Repeated { place: String, name: String, earlier: String },
    /// A call of another architecture or of none, left out.
    Unknown { place: String, name: String },
    /// A form that readers disagree about.
    Ambiguous { place: String },
    /// A test that cannot hold.
    Never { place: String, test: String },
    /// A test of a negative number, which programs pass in 32 bits as well.
    Negative { place: String, test: String },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeated { place, name, earlier } => {
                write!(
                    f,
                    "{place}: `{name}` is decided about in {earlier}, this line counts for nothing"
                )
            }
            Self::Unknown { place, name } => {
                write!(f, "{place}: `{name}` is no system call here and is left out")
            }
            Self::Ambiguous { place } => write!(
                f,
                "{place}: minijail0 and its compiler take `EXPRESSION; return ERRNO` for opposite \
                 things; `{{EXPRESSION; return ERRNO}}` is clear"
            ),
            Self::Never { place, test } => {
                write!(f, "{place}: `{test}` never holds, the value is 0")
            }
            Self::Negative { place, test } => write!(
                f,
                "{place}: `{test}` compares 64 bits, and what a program passes as an `int` may have 32"
            ),
        }
    }
}
