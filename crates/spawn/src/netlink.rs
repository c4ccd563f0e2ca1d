//! Messages about network devices (`rtnetlink(7)`) and the socket that they go over.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

pub(crate) const NEW_LINK: u16 = 16;
pub(crate) const GET_LINK: u16 = 18;
pub(crate) const NEW_ADDRESS: u16 = 20;
pub(crate) const GET_ADDRESS: u16 = 22;

/// `NLM_F_ACK`.
pub(crate) const ACKNOWLEDGE: u16 = 4;
/// `NLM_F_DUMP`.
pub(crate) const DUMP: u16 = 0x300;
/// `NLM_F_CREATE` and `NLM_F_EXCL`.
pub(crate) const CREATE: u16 = 0x600;

const REQUEST: u16 = 1;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `struct nlmsghdr`: length, type, flags, number, sender.
const HEAD: usize = 16;
/// What the kernel puts at most into one answer (`NLMSG_GOODSIZE` and more).
const ANSWER: usize = 64 << 10;
/// How many messages are read of one answer to a dump.
const MAX_MESSAGES: usize = 1 << 20;

/// A message that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// One of a kind; `fixed` is what comes before the attributes.
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | REQUEST).to_ne_bytes());
        bytes.resize(HEAD, 0);
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Adds an attribute.
    ///
    /// # Errors
    /// Fails for more than 64 KiB.
    pub(crate) fn attribute(mut self, kind: u16, data: &[u8]) -> io::Result<Self> {
        let length = u16::try_from(data.len() + 4).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        Ok(self)
    }

    /// What follows the head.
    #[cfg(test)]
    pub(crate) fn body(&self) -> &[u8] {
        self.0.get(HEAD..).unwrap_or_default()
    }

    fn bytes(mut self) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        if let Some(place) = self.0.first_chunk_mut::<4>() {
            *place = length.to_ne_bytes();
        }
        Ok(self.0)
    }
}

/// The messages of an answer: kind, and what follows the head.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        let (kind, body) = (u16_at(bytes, 4)?, bytes.get(HEAD..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// The attributes behind the fixed part of a message.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        // The two highest bits are flags.
        let (kind, data) = (u16_at(bytes, 2)? & 0x3fff, bytes.get(4..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_ne_bytes(*two))
}

/// The outcome in a message of kind [`ERROR`] or [`DONE`]: zero or an error number, negated.
fn outcome(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|four| i32::from_ne_bytes(*four)) {
        Some(error @ i32::MIN..0) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        _ => Ok(()),
    }
}

/// A socket to the kernel, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        // Without a protocol it is the first, `NETLINK_ROUTE`.
        let socket = socket_with(family, SocketType::RAW, flags, None)?;
        Ok(Self(socket))
    }

    pub(crate) fn as_fd(&self) -> &OwnedFd {
        &self.0
    }

    /// Sends a message and waits until it is acknowledged.
    pub(crate) fn request(&self, message: Message) -> io::Result<()> {
        send(&self.0, &message.bytes()?, SendFlags::empty())?;
        self.answers(|_, _| {})
    }

    /// Sends a message and gives the answers of a kind to `each`.
    pub(crate) fn dump(
        &self,
        message: Message,
        kind: u16,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        send(&self.0, &message.bytes()?, SendFlags::empty())?;
        self.answers(|found, body| {
            if found == kind {
                each(body);
            }
        })
    }

    fn answers(&self, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        let mut buffer = vec![0; ANSWER];
        for _ in 0..MAX_MESSAGES {
            let (length, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            for (kind, body) in messages(buffer.get(..length).unwrap_or_default()) {
                match kind {
                    ERROR | DONE => return outcome(body),
                    kind => each(kind, body),
                }
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let message = Message::new(NEW_LINK, ACKNOWLEDGE, &[7; 16]);
        let message = message.attribute(3, b"eth0\0").unwrap().attribute(28, &[1; 4]).unwrap();
        let bytes = message.bytes().unwrap();
        assert_eq!((bytes.len(), bytes.len() % 4), (16 + 16 + 12 + 8, 0));
        let read: Vec<_> = messages(&bytes).collect();
        let [(NEW_LINK, body)] = read[..] else { panic!("{read:?}") };
        let attributes: Vec<_> = attributes(&body[16..]).collect();
        assert_eq!(attributes, [(3, &b"eth0\0"[..]), (28, &[1; 4][..])]);
    }

    #[test]
    fn what_is_cut_or_wrong_ends_the_list() {
        let bytes =
            Message::new(NEW_LINK, 0, &[0; 16]).attribute(3, b"x").unwrap().bytes().unwrap();
        for length in 0..bytes.len() {
            let found = messages(&bytes[..length]).flat_map(|(_, body)| attributes(body)).count();
            assert_eq!(found, 0, "{length}");
        }
        for first in 0..=u8::MAX {
            let mut wrong = bytes.clone();
            wrong[0] = first;
            wrong[32] = first;
            messages(&wrong).flat_map(|(_, body)| attributes(body)).take(100).for_each(drop);
        }
        assert!(outcome(&(-17i32).to_ne_bytes()).unwrap_err().raw_os_error() == Some(17));
        assert!(outcome(&i32::MIN.to_ne_bytes()).is_err());
        assert!(outcome(&[]).is_ok());
    }

    #[test]
    fn the_kernel_answers() {
        let socket = Socket::open().unwrap();
        let mut seen = 0;
        let all = Message::new(GET_LINK, DUMP, &[0; 16]);
        socket.dump(all, NEW_LINK, |_| seen += 1).unwrap();
        // Every network namespace has its loopback.
        assert!(seen > 0);
        let none = Message::new(NEW_ADDRESS, ACKNOWLEDGE, &[0; 8]);
        assert!(socket.request(none).is_err());
    }
}
