//! Network devices of the host that a container gets.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::thread;

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::netlink::{
    ACKNOWLEDGE, CREATE, DUMP, GET_ADDRESS, GET_LINK, Message, NEW_ADDRESS, NEW_LINK, Socket,
    attributes,
};

/// `IFLA_IFNAME`.
const NAME: u16 = 3;
/// `IFLA_NET_NS_FD`.
const NAMESPACE: u16 = 28;
/// `IFF_UP`.
const UP: u32 = 1;

/// `IFA_FLAGS`.
const FLAGS: u16 = 8;
/// `IFA_ADDRESS`, `IFA_LOCAL`, `IFA_BROADCAST`, `IFA_RT_PRIORITY`: what goes along with an address. Its
/// label goes not: it begins with the name of the device.
const KEPT: [u16; 4] = [1, 2, 4, 9];
/// `IFA_F_PERMANENT`.
const PERMANENT: u32 = 0x80;
/// `IFA_F_NODAD` and `IFA_F_NOPREFIXROUTE`: what was asked for an address.
const ASKED: u32 = 0x202;
/// `RT_SCOPE_UNIVERSE`.
const GLOBAL: u8 = 0;

/// Why a device did not come into a namespace.
#[derive(Debug, thiserror::Error)]
#[error("could not {step}")]
pub struct NetDeviceError {
    /// What was being done.
    pub step: &'static str,
    /// The reason.
    #[source]
    pub source: io::Error,
}

fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> NetDeviceError {
    move |source| NetDeviceError { step, source: source.into() }
}

/// Moves a device of this process's network namespace into another one, under a name that may end in
/// `%d` for a number that is free there. Its permanent addresses of global scope go along, and it is up
/// afterwards.
///
/// # Errors
/// Names the step that failed.
pub fn move_device(
    name: &str,
    new_name: &str,
    namespace: BorrowedFd<'_>,
) -> Result<(), NetDeviceError> {
    let here = Socket::open().map_err(at("reach the kernel's network"))?;
    let index = name_to_index(here.as_fd(), name).map_err(at("find the device"))?;
    let addresses = Address::all(&here, index).map_err(at("read the addresses of the device"))?;
    let there = socket_in(namespace).map_err(at("reach the container's network"))?;
    let before = names(&there).map_err(at("list the devices of the container"))?;
    if before.contains(new_name) {
        return Err(at("name the device")(Errno::EXIST));
    }
    let moved = link(index, 0).attribute(NAME, &terminated(new_name));
    let moved =
        moved.and_then(|moved| moved.attribute(NAMESPACE, &namespace.as_raw_fd().to_ne_bytes()));
    let step = "move the device";
    here.request(moved.map_err(at(step))?).map_err(at(step))?;
    // What stands for `%d` is only known now.
    let after = names(&there).map_err(at("list the devices of the container"))?;
    let found = match after.difference(&before).next() {
        Some(only) if !after.contains(new_name) => only.as_str(),
        _ => new_name,
    };
    let index = name_to_index(there.as_fd(), found).map_err(at("find the moved device"))?;
    for address in addresses {
        address.add(&there, index).map_err(at("add an address to the device"))?;
    }
    there.request(link(index, UP)).map_err(at("bring the device up"))
}

/// Changes a device; `up` is [`UP`] or zero for how it is.
fn link(index: u32, up: u32) -> Message {
    // struct ifinfomsg: family, padding, type, index, flags, which of them count.
    let mut fixed = vec![0; 4];
    [index, up, up].iter().for_each(|word| fixed.extend(word.to_ne_bytes()));
    Message::new(NEW_LINK, ACKNOWLEDGE, &fixed)
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// Only a thread is in the namespace, and only as long as that takes.
fn socket_in(namespace: BorrowedFd<'_>) -> io::Result<Socket> {
    let open = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Socket::open()
    };
    let opened = thread::scope(|scope| scope.spawn(open).join());
    opened.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// The names of all devices.
fn names(socket: &Socket) -> io::Result<BTreeSet<String>> {
    const FIXED: usize = 16;
    let mut names = BTreeSet::new();
    let all = Message::new(GET_LINK, DUMP, &[0; FIXED]);
    socket.dump(all, NEW_LINK, |body| {
        let mut attributes = attributes(body.get(FIXED..).unwrap_or_default());
        let name = attributes.find(|(kind, _)| *kind == NAME).map(|(_, name)| name);
        let name = name.and_then(|name| name.strip_suffix(&[0])).unwrap_or_default();
        names.insert(String::from_utf8_lossy(name).into_owned());
    })?;
    Ok(names)
}

/// An address that goes along.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    family: u8,
    prefix: u8,
    flags: u32,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// Those of a device that go along.
    fn all(socket: &Socket, index: u32) -> io::Result<Vec<Self>> {
        let mut all = Vec::new();
        let question = Message::new(GET_ADDRESS, DUMP, &[0; 8]);
        socket.dump(question, NEW_ADDRESS, |body| all.extend(Self::read(body, index)))?;
        Ok(all)
    }

    /// That in a message, if it is the device's and goes along.
    fn read(body: &[u8], device: u32) -> Option<Self> {
        // struct ifaddrmsg: family, length of the prefix, flags, scope, index.
        let (&[family, prefix, flags, scope], rest) = body.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        if u32::from_ne_bytes(*index) != device || scope != GLOBAL {
            return None;
        }
        let all = attributes(rest).find(|(kind, _)| *kind == FLAGS);
        let all = all.and_then(|(_, data)| data.first_chunk()).map(|all| u32::from_ne_bytes(*all));
        let flags = all.unwrap_or_else(|| flags.into());
        let kept = attributes(rest).filter(|(kind, _)| KEPT.contains(kind));
        let attributes = kept.map(|(kind, data)| (kind, data.to_vec())).collect();
        let address = Self { family, prefix, flags: flags & ASKED, attributes };
        (flags & PERMANENT != 0).then_some(address)
    }

    fn add(&self, socket: &Socket, index: u32) -> io::Result<()> {
        let mut fixed = vec![self.family, self.prefix, 0, GLOBAL];
        fixed.extend(index.to_ne_bytes());
        let message = Message::new(NEW_ADDRESS, ACKNOWLEDGE | CREATE, &fixed);
        let mut message = message.attribute(FLAGS, &self.flags.to_ne_bytes())?;
        for (kind, data) in &self.attributes {
            message = message.attribute(*kind, data)?;
        }
        socket.request(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(scope: u8, flags: u32) -> Vec<u8> {
        let mut fixed = vec![2, 24, 0, scope];
        fixed.extend(7u32.to_ne_bytes());
        let message = Message::new(NEW_ADDRESS, 0, &fixed).attribute(2, &[10, 0, 0, 1]).unwrap();
        let message = message.attribute(3, b"eth0\0").unwrap();
        let message = message.attribute(FLAGS, &flags.to_ne_bytes()).unwrap();

        message.body().to_vec()
    }

    #[test]
    fn permanent_addresses_of_global_scope_go_along() {
        let read = Address::read(&address(0, PERMANENT | 2), 7).unwrap();
        assert_eq!((read.family, read.prefix, read.flags), (2, 24, 2));
        assert_eq!(read.attributes, [(2, vec![10, 0, 0, 1])]);
        for (scope, flags, device) in [(253, PERMANENT, 7), (0, 0, 7), (0, PERMANENT, 8)] {
            assert_eq!(Address::read(&address(scope, flags), device), None);
        }
        let whole = address(0, PERMANENT);
        (0..whole.len()).for_each(|length| drop(Address::read(&whole[..length], 7)));
    }

    #[test]
    fn a_device_that_is_missing_is_told() {
        let own = std::fs::File::open("/proc/self/ns/net").unwrap();
        let error = move_device("creel-none", "x", own.as_fd()).unwrap_err();
        assert_eq!(error.to_string(), "could not find the device");
    }
}
