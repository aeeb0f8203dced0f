//! The system call bpf(2), as far as the fast path needs it: a program with one map.
//!
//! It must never keep anything alive by itself: what no link holds goes with the process.

use std::{
    mem::size_of,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use rustix::io::Errno;

const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const MAP_GET_FD_BY_ID: libc::c_int = 14;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;

/// `BPF_PROG_TYPE_SCHED_CLS`: programs of traffic control.
const OF_TRAFFIC_CONTROL: u32 = 3;
/// `BPF_MAP_TYPE_DEVMAP_HASH`: its elements go with the links that they name.
const OF_LINKS: u32 = 25;
/// `BPF_NOEXIST`.
const ONLY_NEW: u64 = 1;
/// `BPF_PSEUDO_MAP_FD`: the second register of an instruction that takes a map.
const TAKES_MAP: [u8; 2] = [0x18, 0x10];

/// A name as the kernel keeps it.
pub(crate) type Name = [u8; 16];

/// Pads a name.
pub(crate) const fn name(text: &str) -> Name {
    let mut name = [0; 16];
    let bytes = text.as_bytes();
    assert!(bytes.len() < name.len(), "the last byte ends the name");
    let mut at = 0;
    while at < bytes.len() {
        name[at] = bytes[at];
        at += 1;
    }
    name
}

/// A program in the kernel.
#[derive(Debug)]
pub(crate) struct Program {
    descriptor: OwnedFd,
    /// The kernel's number of it, and of its first map.
    pub(crate) id: u32,
    map: u32,
}

/// A map from four bytes to links, in the kernel.
#[derive(Debug)]
pub(crate) struct LinkMap(OwnedFd);

#[repr(C)]
#[derive(Default)]
struct MapAttributes {
    kind: u32,
    key_size: u32,
    value_size: u32,
    most: u32,
    flags: u32,
    inner: u32,
    node: u32,
    name: Name,
}

#[repr(C)]
#[derive(Default)]
struct ElementAttributes {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: Name,
}

#[repr(C)]
#[derive(Default)]
struct IdAttributes {
    id: u32,
    next: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct InformationAttributes {
    descriptor: u32,
    length: u32,
    information: u64,
}

/// The start of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgramInformation {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    lengths: [u32; 2],
    instructions: [u64; 2],
    load_time: u64,
    user: u32,
    map_count: u32,
    maps: u64,
    name: Name,
}

/// The number of a buffer's place in memory.
fn address<T: ?Sized>(of: &T) -> u64 {
    std::ptr::from_ref(of).cast::<u8>() as u64
}

fn number(descriptor: &OwnedFd) -> u32 {
    descriptor.as_raw_fd().unsigned_abs()
}

/// Whether this process may ask for programs at all.
pub(crate) fn is_usable() -> Result<(), Errno> {
    match Program::of_id(0) {
        // There is none of this number.
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Calls the kernel. Whatever the attributes point to must be there, and as long as they say.
fn call<T>(command: libc::c_int, attributes: &mut T) -> Result<i32, Errno> {
    let pointer: *mut T = attributes;
    // SAFETY: the attributes are a C structure of this length that the kernel reads and, for
    // queries, writes; all callers in this file let it point to buffers that outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<T>()) };
    if result < 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    Ok(i32::try_from(result).unwrap_or_default())
}

fn open<T>(command: libc::c_int, attributes: &mut T) -> Result<OwnedFd, Errno> {
    let descriptor = call(command, attributes)?;
    // SAFETY: these commands answer a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

impl LinkMap {
    /// Makes an empty one.
    pub(crate) fn create(most: u32, name: Name) -> Result<Self, Errno> {
        let (kind, key_size, value_size) = (OF_LINKS, 4, 4);
        let mut attributes =
            MapAttributes { kind, key_size, value_size, most, name, ..MapAttributes::default() };
        open(MAP_CREATE, &mut attributes).map(Self)
    }

    /// The link of a key.
    pub(crate) fn find(&self, key: [u8; 4]) -> Result<Option<u32>, Errno> {
        let mut link = 0_u32;
        let value = std::ptr::from_mut(&mut link) as u64;
        let (map, key) = (number(&self.0), address(&key));
        let mut attributes = ElementAttributes { map, key, value, ..ElementAttributes::default() };
        match call(MAP_LOOKUP_ELEM, &mut attributes) {
            Ok(_) => Ok(Some(link)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Adds a link under a key that nobody has.
    pub(crate) fn add(&self, key: [u8; 4], link: u32) -> Result<(), Errno> {
        let (map, flags) = (number(&self.0), ONLY_NEW);
        let (key, value) = (address(&key), address(&link));
        let mut attributes =
            ElementAttributes { map, key, value, flags, ..ElementAttributes::default() };
        call(MAP_UPDATE_ELEM, &mut attributes).map(drop)
    }
}

impl Program {
    /// Loads a program whose instructions take one map.
    pub(crate) fn load(instructions: &[[u8; 8]], map: &LinkMap, name: Name) -> Result<Self, Errno> {
        let linked: Vec<u64> = instructions.iter().map(|one| linked(*one, map)).collect();
        let license = c"Apache-2.0";
        let mut attributes = LoadAttributes {
            kind: OF_TRAFFIC_CONTROL,
            count: u32::try_from(linked.len()).unwrap_or_default(),
            instructions: address(linked.as_slice()),
            license: license.as_ptr() as u64,
            name,
            ..LoadAttributes::default()
        };
        let descriptor = open(PROG_LOAD, &mut attributes)?;
        Self::describe(descriptor)
    }

    /// The program of a number.
    pub(crate) fn of_id(id: u32) -> Result<Self, Errno> {
        let mut attributes = IdAttributes { id, ..IdAttributes::default() };
        Self::describe(open(PROG_GET_FD_BY_ID, &mut attributes)?)
    }

    fn describe(descriptor: OwnedFd) -> Result<Self, Errno> {
        let mut map = 0_u32;
        let maps = std::ptr::from_mut(&mut map) as u64;
        let mut found = ProgramInformation { map_count: 1, maps, ..ProgramInformation::default() };
        let length = u32::try_from(size_of::<ProgramInformation>()).unwrap_or_default();
        let information = std::ptr::from_mut(&mut found) as u64;
        let of = number(&descriptor);
        let mut attributes = InformationAttributes { descriptor: of, length, information };
        call(OBJ_GET_INFO_BY_FD, &mut attributes)?;
        Ok(Self { descriptor, id: found.id, map })
    }

    /// For messages that name it.
    pub(crate) fn descriptor(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }

    /// The map that it takes.
    pub(crate) fn map(&self) -> Result<LinkMap, Errno> {
        let mut attributes = IdAttributes { id: self.map, ..IdAttributes::default() };
        open(MAP_GET_FD_BY_ID, &mut attributes).map(LinkMap)
    }
}

/// An instruction with the map's descriptor, if it takes one.
fn linked(mut bytes: [u8; 8], map: &LinkMap) -> u64 {
    let registers = if cfg!(target_endian = "big") { bytes[1] << 4 } else { bytes[1] & 0xf0 };
    if [bytes[0], registers] == TAKES_MAP {
        bytes[4..].copy_from_slice(&map.0.as_raw_fd().to_ne_bytes());
    }
    u64::from_ne_bytes(bytes)
}
