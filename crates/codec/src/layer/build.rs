//! From entries as an archive has them to a tree.

use std::collections::HashMap;

use super::{LayerError, Limits};
use crate::tree::{Entry, Kind, Meta, Tree, path};

/// What an entry of an archive is. Paths are normalised.
#[derive(Debug)]
pub(super) enum What {
    /// All kinds that are neither whiteout nor link.
    Inode(Meta, Kind),
    /// A further name of something.
    Link(Box<[u8]>),
}

/// One name below a directory. Its parent has a lower number.
struct Node {
    parent: u32,
    name: Box<[u8]>,
    holds: Holds,
}

enum Holds {
    /// Number of an inode.
    Inode(u32),
    /// A link to what no earlier entry has.
    Unresolved(Box<[u8]>),
    /// The name is absent in lower layers.
    Whiteout,
}

/// Collects entries in the order of the archive.
///
/// Names are kept by directory number and last component. When something else replaces a
/// directory, its number goes out of use and with it, at no cost, all that was below.
pub(super) struct Builder {
    limits: Limits,
    nodes: Vec<Node>,
    inodes: Vec<(Meta, Kind)>,
    names: HashMap<Box<[u8]>, u32>,
    whiteouts: HashMap<Box<[u8]>, u32>,
    key: Vec<u8>,
    /// The directory of the entry before: the next one is often in it too.
    last: (Vec<u8>, u32),
    name_bytes: u64,
}

const ROOT: u32 = 0;

/// A directory that an archive does not have, but something below it.
pub(super) fn implied() -> (Meta, Kind) {
    let meta = Meta { mode: 0o755, ..Meta::default() };
    (meta, Kind::Directory { opaque: false, implied: true })
}

impl Builder {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            nodes: vec![Node { parent: ROOT, name: Box::default(), holds: Holds::Inode(0) }],
            inodes: vec![implied()],
            names: HashMap::new(),
            whiteouts: HashMap::new(),
            key: Vec::new(),
            last: (Vec::new(), ROOT),
            name_bytes: 0,
        }
    }

    /// Adds an entry; of several with one path the last one holds.
    pub(super) fn add(&mut self, path: &[u8], what: What) -> Result<(), LayerError> {
        let directory = self.directory(path::parent(path).unwrap_or_default(), path)?;
        let found =
            if path.is_empty() { Some(ROOT) } else { self.find(directory, path::name(path)) };
        let holds = match what {
            What::Inode(meta, kind) => {
                if self.update_directory(found, &meta, &kind) {
                    return Ok(());
                }
                if path.is_empty() {
                    return Err(LayerError::Entry {
                        path: path.into(),
                        what: "root is no directory",
                    });
                }
                Holds::Inode(self.inode(meta, kind)?)
            }
            What::Link(target) => self.link(path, target)?,
        };
        if found.is_some() {
            self.last = (Vec::new(), ROOT);
        }
        self.insert(directory, path::name(path), holds).map(|_| ())
    }

    /// Hides a path of lower layers.
    pub(super) fn whiteout(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let directory = self.directory(path::parent(path).unwrap_or_default(), path)?;
        let name = path::name(path);
        self.set_key(directory, name);
        if self.whiteouts.contains_key(&*self.key) {
            return Ok(());
        }
        let node = self.push(directory, name, Holds::Whiteout)?;
        self.set_key(directory, name);
        self.whiteouts.insert(self.key.as_slice().into(), node);
        Ok(())
    }

    /// Hides all of lower layers in a directory.
    pub(super) fn opaque(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let directory = self.directory(path, path)?;
        if let Some((_, Kind::Directory { opaque, .. })) = self.inode_of(directory) {
            *opaque = true;
        }
        Ok(())
    }

    /// Gives an existing directory the metadata of a further entry for it.
    fn update_directory(&mut self, found: Option<u32>, meta: &Meta, kind: &Kind) -> bool {
        let Some((old, Kind::Directory { implied, .. })) =
            found.and_then(|node| self.inode_of(node))
        else {
            return false;
        };
        if !kind.is_directory() {
            return false;
        }
        *implied = false;
        *old = meta.clone();
        true
    }

    fn link(&mut self, path: &[u8], target: Box<[u8]>) -> Result<Holds, LayerError> {
        let refuse =
            |target: Box<[u8]>, what| Err(LayerError::Link { path: path.into(), target, what });
        if *target == *path || target.is_empty() {
            return refuse(target, "it is the link itself or the root");
        }
        let inode = match self.resolve(&target) {
            Some(node) => match self.nodes.get(node as usize).map(|node| &node.holds) {
                Some(Holds::Inode(inode)) => *inode,
                _ => return Ok(Holds::Unresolved(target)),
            },
            None => return Ok(Holds::Unresolved(target)),
        };
        match self.inodes.get(inode as usize) {
            Some((_, kind)) if kind.is_directory() => refuse(target, "it is a directory"),
            _ => Ok(Holds::Inode(inode)),
        }
    }

    /// Returns the number of the directory at `path`, made if need be for the sake of `entry`.
    fn directory(&mut self, path: &[u8], entry: &[u8]) -> Result<u32, LayerError> {
        if self.last.0 == path {
            return Ok(self.last.1);
        }
        let mut at = ROOT;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = match self.find(at, name) {
                Some(node) if self.inode_of(node).is_some_and(|(_, kind)| kind.is_directory()) => {
                    node
                }
                Some(_) => {
                    let what = "it is below something that is no directory";
                    return Err(LayerError::Entry { path: entry.into(), what });
                }
                None => {
                    let (meta, kind) = implied();
                    let inode = self.inode(meta, kind)?;
                    self.insert(at, name, Holds::Inode(inode))?
                }
            };
        }
        self.last.0.clear();
        self.last.0.extend_from_slice(path);
        self.last.1 = at;
        Ok(at)
    }

    fn resolve(&mut self, path: &[u8]) -> Option<u32> {
        path.split(|byte| *byte == b'/').try_fold(ROOT, |at, name| self.find(at, name))
    }

    fn find(&mut self, directory: u32, name: &[u8]) -> Option<u32> {
        self.set_key(directory, name);
        self.names.get(&*self.key).copied()
    }

    fn set_key(&mut self, directory: u32, name: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(&directory.to_ne_bytes());
        self.key.extend_from_slice(name);
    }

    fn insert(&mut self, directory: u32, name: &[u8], holds: Holds) -> Result<u32, LayerError> {
        let node = self.push(directory, name, holds)?;
        self.set_key(directory, name);
        match self.names.get_mut(&*self.key) {
            Some(held) => *held = node,
            None => {
                self.names.insert(self.key.as_slice().into(), node);
            }
        }
        Ok(node)
    }

    fn push(&mut self, parent: u32, name: &[u8], holds: Holds) -> Result<u32, LayerError> {
        let entries = self.limits.entries;
        let number = u32::try_from(self.nodes.len()).ok().filter(|number| *number < entries);
        let number =
            number.ok_or(LayerError::TooLarge { what: "entries", limit: entries.into() })?;
        let target = if let Holds::Unresolved(target) = &holds { target.len() } else { 0 };
        self.name_bytes = self.name_bytes.saturating_add((name.len() + target) as u64);
        if self.name_bytes > self.limits.name_bytes {
            let limit = self.limits.name_bytes;
            return Err(LayerError::TooLarge { what: "bytes of names", limit });
        }
        self.nodes.push(Node { parent, name: name.into(), holds });
        Ok(number)
    }

    fn inode(&mut self, meta: Meta, kind: Kind) -> Result<u32, LayerError> {
        let entries = self.limits.entries;
        let number = u32::try_from(self.inodes.len())
            .map_err(|_| LayerError::TooLarge { what: "entries", limit: entries.into() })?;
        self.inodes.push((meta, kind));
        Ok(number)
    }

    fn inode_of(&mut self, node: u32) -> Option<&mut (Meta, Kind)> {
        match self.nodes.get(node as usize)?.holds {
            Holds::Inode(inode) => self.inodes.get_mut(inode as usize),
            _ => None,
        }
    }

    /// Makes the tree.
    pub(super) fn finish(mut self) -> Result<Tree, LayerError> {
        let paths = self.live_paths()?;
        self.apply_whiteouts_to_directories();
        let mut leaders: HashMap<u32, u32> = HashMap::new();
        let mut entries: Vec<Entry> = Vec::with_capacity(paths.len());
        for (number, path) in paths.into_iter().enumerate() {
            let Some(path) = path else { continue };
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let Some((meta, kind)) = self.entry(number, &path, &mut leaders, entries.len())? else {
                continue;
            };
            entries.push(Entry { path, meta, kind });
        }
        Ok(Tree::from_unsorted(entries)?)
    }

    /// Returns the path of every node that no later entry has replaced.
    fn live_paths(&self) -> Result<Vec<Option<Box<[u8]>>>, LayerError> {
        let limit = self.limits.path_bytes;
        let mut written = 0u64;
        let mut paths: Vec<Option<Box<[u8]>>> = Vec::with_capacity(self.nodes.len());
        paths.push(Some(Box::default()));
        for number in 1..self.nodes.len() {
            let live = self.nodes.get(number).and_then(|node| {
                let parent = paths.get(node.parent as usize)?.as_deref()?;
                let mut key = node.parent.to_ne_bytes().to_vec();
                key.extend_from_slice(&node.name);
                let named = self.names.get(&*key).copied();
                let current = match node.holds {
                    Holds::Whiteout => named.is_none(),
                    _ => named.is_some_and(|named| named as usize == number),
                };
                let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
                current.then(|| [parent, slash, &node.name].concat().into_boxed_slice())
            });
            written = written.saturating_add(live.as_ref().map_or(0, |path| path.len() as u64));
            if written > limit {
                return Err(LayerError::TooLarge { what: "bytes of paths", limit });
            }
            paths.push(live);
        }
        Ok(paths)
    }

    /// Whiteouts hold for lower layers only: a directory of the same name starts afresh.
    fn apply_whiteouts_to_directories(&mut self) {
        let both: Vec<u32> =
            self.whiteouts.keys().filter_map(|key| self.names.get(key).copied()).collect();
        for node in both {
            if let Some((_, Kind::Directory { opaque, .. })) = self.inode_of(node) {
                *opaque = true;
            }
        }
    }

    fn entry(
        &mut self,
        number: u32,
        path: &[u8],
        leaders: &mut HashMap<u32, u32>,
        position: usize,
    ) -> Result<Option<(Meta, Kind)>, LayerError> {
        let Some(node) = self.nodes.get(number as usize) else { return Ok(None) };
        let inode = match &node.holds {
            Holds::Whiteout => return Ok(Some((Meta::default(), Kind::Whiteout))),
            Holds::Inode(inode) => *inode,
            Holds::Unresolved(target) => {
                let target = target.clone();
                match self.follow(path, target)? {
                    Target::Inode(inode) => inode,
                    Target::Lower(path) => {
                        return Ok(Some((Meta::default(), Kind::LowerLink { path })));
                    }
                }
            }
        };
        if let Some(leader) = leaders.get(&inode) {
            return Ok(Some((Meta::default(), Kind::HardLink { entry: *leader })));
        }
        leaders.insert(inode, u32::try_from(position).unwrap_or(u32::MAX));
        // The kind stays: a later link still asks whether it names a directory.
        let inode = self.inodes.get_mut(inode as usize);
        Ok(inode.map(|(meta, kind)| (core::mem::take(meta), kind.clone())))
    }

    /// Finds what a link names that named no earlier entry: a later one, or one of a lower layer.
    fn follow(&mut self, path: &[u8], mut target: Box<[u8]>) -> Result<Target, LayerError> {
        /// A chain this long is a circle, or meant to take long.
        const LONGEST: usize = 64;
        for _ in 0..LONGEST {
            let refuse = |target, what| Err(LayerError::Link { path: path.into(), target, what });
            let Some(node) = self.resolve(&target) else {
                let parent = self.resolve_directory(path::parent(&target).unwrap_or_default());
                if let Some(parent) = parent {
                    self.set_key(parent, path::name(&target));
                    if self.whiteouts.contains_key(&*self.key) {
                        return refuse(target, "this layer removes it");
                    }
                }
                return Ok(Target::Lower(target));
            };
            match self.nodes.get(node as usize).map(|node| &node.holds) {
                Some(Holds::Unresolved(next)) => target = next.clone(),
                Some(Holds::Inode(inode)) => {
                    let inode = *inode;
                    let kind = self.inodes.get(inode as usize).map(|(_, kind)| kind);
                    if kind.is_some_and(Kind::is_directory) {
                        return refuse(target, "it is a directory");
                    }
                    return Ok(Target::Inode(inode));
                }
                _ => break,
            }
        }
        Err(LayerError::Link { path: path.into(), target, what: "links go round in a circle" })
    }

    fn resolve_directory(&mut self, path: &[u8]) -> Option<u32> {
        if path.is_empty() { Some(ROOT) } else { self.resolve(path) }
    }
}

enum Target {
    Inode(u32),
    Lower(Box<[u8]>),
}
