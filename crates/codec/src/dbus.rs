//! Messages of D-Bus in little endian, as far as systemd's manager is spoken to.
//!
//! Source: D-Bus Specification 0.43, "Message Protocol".

/// A value in a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    Int32(i32),
    /// `u`
    Uint32(u32),
    /// `x`
    Int64(i64),
    /// `t`
    Uint64(u64),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
    /// `au`
    Numbers(Vec<u32>),
    /// `ay`
    Bytes(Vec<u8>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::Int32(_) => "i",
            Self::Uint32(_) => "u",
            Self::Int64(_) => "x",
            Self::Uint64(_) => "t",
            Self::Text(_) => "s",
            Self::Texts(_) => "as",
            Self::Numbers(_) => "au",
            Self::Bytes(_) => "ay",
        }
    }
}

/// Marshalled values. Each is aligned to its size, counted from the beginning.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    /// `u`
    pub fn number(&mut self, number: u32) -> &mut Self {
        self.align(4);
        self.0.extend(number.to_le_bytes());
        self
    }

    fn long(&mut self, number: u64) -> &mut Self {
        self.align(8);
        self.0.extend(number.to_le_bytes());
        self
    }

    /// `s` or `o`
    // No text here is longer than what a configuration may be.
    #[expect(clippy::cast_possible_truncation)]
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.byte(0)
    }

    /// `b`
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.number(value.into())
    }

    #[expect(clippy::cast_possible_truncation)]
    fn signature(&mut self, text: &str) -> &mut Self {
        self.byte(text.len() as u8);
        self.0.extend(text.as_bytes());
        self.byte(0)
    }

    /// An array, whose length does not count the padding before the first item.
    #[expect(clippy::cast_possible_truncation)]
    fn array(&mut self, alignment: usize, items: impl FnOnce(&mut Self)) -> &mut Self {
        self.number(0);
        let length = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        items(self);
        let bytes = ((self.0.len() - start) as u32).to_le_bytes();
        self.0.splice(length..length + 4, bytes);
        self
    }

    fn variant(&mut self, value: &Value) -> &mut Self {
        self.signature(value.signature());
        match value {
            Value::Bool(value) => self.boolean(*value),
            Value::Int32(number) => self.number(number.cast_unsigned()),
            Value::Uint32(number) => self.number(*number),
            Value::Int64(number) => self.long(number.cast_unsigned()),
            Value::Uint64(number) => self.long(*number),
            Value::Text(text) => self.text(text),
            Value::Texts(texts) => self.array(4, |array| {
                for text in texts {
                    array.text(text);
                }
            }),
            Value::Numbers(numbers) => self.numbers(numbers),
            Value::Bytes(bytes) => self.array(1, |array| array.0.extend(bytes)),
        }
    }

    /// `au`
    pub fn numbers(&mut self, numbers: &[u32]) -> &mut Self {
        self.array(4, |array| {
            for number in numbers {
                array.number(*number);
            }
        })
    }

    /// `a(sv)`
    pub fn properties(&mut self, properties: &[(String, Value)]) -> &mut Self {
        self.array(8, |array| {
            for (name, value) in properties {
                array.align(8);
                array.text(name).variant(value);
            }
        })
    }

    /// `a(sa(sv))` without any.
    pub fn no_units(&mut self) -> &mut Self {
        self.array(8, |_| {})
    }
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The name of who is called.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
    /// The types of its arguments.
    pub signature: &'a str,
}

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

impl Call<'_> {
    /// The message, with a number that the reply will have.
    #[must_use]
    #[expect(clippy::cast_possible_truncation)]
    pub fn message(&self, serial: u32, body: &Writer) -> Vec<u8> {
        let mut out = Writer::default();
        // Little endian, a call, no flags, version 1.
        out.0.extend([b'l', 1, 0, 1]);
        out.number(body.0.len() as u32).number(serial);
        out.array(8, |fields| {
            let texts = [
                (PATH, "o", self.path),
                (INTERFACE, "s", self.interface),
                (MEMBER, "s", self.member),
                (DESTINATION, "s", self.destination),
            ];
            for (code, kind, text) in texts {
                fields.align(8);
                fields.byte(code).signature(kind).text(text);
            }
            if !self.signature.is_empty() {
                fields.align(8);
                fields.byte(SIGNATURE).signature("g").signature(self.signature);
            }
        });
        out.align(8);
        out.0.extend(&body.0);
        out.0
    }
}

/// A message that came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// [`REPLY`], [`ERROR`] or [`SIGNAL`].
    pub kind: u8,
    /// The number of the call that it answers.
    pub reply_to: Option<u32>,
    /// The name of a signal.
    pub member: String,
    /// The name of an error.
    pub error: String,
    /// The arguments.
    pub body: Vec<u8>,
}

/// The kind of a reply.
pub const REPLY: u8 = 2;
/// The kind of an error.
pub const ERROR: u8 = 3;
/// The kind of a signal.
pub const SIGNAL: u8 = 4;

/// The length of the fixed part of a message, in bytes.
pub const HEAD: usize = 16;
/// The most that is taken of one.
const MAX: u32 = 1 << 20;

/// How long the fields and the body are that follow the fixed part, in bytes, at most a mebibyte each;
/// none for what is no message.
#[must_use]
pub fn lengths(head: [u8; HEAD]) -> Option<(usize, usize)> {
    let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let (body, fields) = (number(4)?, number(12)?);
    if head[0] != b'l' || body > MAX || fields > MAX {
        return None;
    }
    let fields = usize::try_from(fields).ok()?.next_multiple_of(8);
    Some((fields, usize::try_from(body).ok()?))
}

impl Message {
    /// Reads a message's fields, which follow the fixed part; none for what are none.
    #[must_use]
    pub fn parse(head: [u8; HEAD], fields: &[u8], body: Vec<u8>) -> Option<Self> {
        let length = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
        let mut found = Self { kind: head[1], body, ..Self::default() };
        let mut reader = Reader::new(fields.get(..usize::try_from(length).ok()?)?);
        while !reader.is_empty() {
            reader.align(8);
            let code = reader.byte()?;
            match reader.signature()? {
                "u" => {
                    let number = reader.number()?;
                    if code == REPLY_SERIAL {
                        found.reply_to = Some(number);
                    }
                }
                "s" | "o" => {
                    let text = reader.text()?;
                    match code {
                        MEMBER => found.member = text.into(),
                        ERROR_NAME => found.error = text.into(),
                        _ => {}
                    }
                }
                "g" => drop(reader.signature()?),
                _ => return None,
            }
        }
        Some(found)
    }
}

/// Reads what was marshalled. Whatever is asked of what is not there is none.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8], usize);

impl<'a> Reader<'a> {
    /// Reads the arguments of a message from the first on.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self(body, 0)
    }

    fn is_empty(&self) -> bool {
        self.1 >= self.0.len()
    }

    fn align(&mut self, to: usize) {
        self.1 = self.1.next_multiple_of(to);
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.1.checked_add(length)?;
        let bytes = self.0.get(self.1..end)?;
        self.1 = end;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// `u`
    pub fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// `s` or `o`
    pub fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = self.take(length)?;
        self.byte()?;
        std::str::from_utf8(text).ok()
    }

    /// `v` that holds an `s`
    pub fn text_in_variant(&mut self) -> Option<&'a str> {
        if self.signature()? == "s" { self.text() } else { None }
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?.into();
        let text = self.take(length)?;
        self.byte()?;
        std::str::from_utf8(text).ok()
    }
}

/// Reads what claims to be a message, for the fuzz target.
///
/// # Panics
/// Panics where something is longer than what it was read from.
pub fn fuzz(data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<HEAD>() else { return };
    let Some((fields, body)) = lengths(*head) else { return };
    let (Some(fields), Some(body)) = (rest.get(..fields), rest.get(fields..fields + body)) else {
        return;
    };
    let Some(message) = Message::parse(*head, fields, body.to_vec()) else { return };
    assert!(message.member.len() <= fields.len() && message.error.len() <= fields.len());
    let mut reader = Reader::new(&message.body);
    while reader.text().is_some() {}
    let mut reader = Reader::new(&message.body);
    while reader.text_in_variant().is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut body = Writer::default();
        let properties = [
            ("A".to_owned(), Value::Bool(true)),
            ("B".to_owned(), Value::Texts(vec!["x".into(), "yz".into()])),
            ("C".to_owned(), Value::Uint64(7)),
            ("D".to_owned(), Value::Bytes(vec![1, 2, 3])),
        ];
        body.text("unit").properties(&properties).no_units();
        let call = Call {
            destination: "a.b",
            path: "/a",
            interface: "a.b.C",
            member: "Do",
            signature: "sa(sv)a(sa(sv))",
        };
        let message = call.message(9, &body);
        let head: [u8; HEAD] = message[..HEAD].try_into().unwrap();
        let (fields, length) = lengths(head).unwrap();
        assert_eq!((message.len(), length), (HEAD + fields + length, body.0.len()));
        let rest = message[HEAD + fields..].to_vec();
        let parsed = Message::parse(head, &message[HEAD..HEAD + fields], rest).unwrap();
        assert_eq!((parsed.kind, parsed.member.as_str()), (1, "Do"));
        assert_eq!(Reader::new(&parsed.body).text(), Some("unit"));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(lengths([0; HEAD]), None);
        let mut head = [0xff; HEAD];
        head[0] = b'l';
        assert_eq!(lengths(head), None);
        head[12..].copy_from_slice(&[8, 0, 0, 0]);
        for fields in
            [&[1, 9, 9, 9, 9, 9, 9, 9][..], &[], &[5, 1, b'u', 0, 1], &[3, 1, b's', 0, 255]]
        {
            assert!(Message::parse(head, fields, Vec::new()).is_none(), "{fields:?}");
        }
    }
}
