//! Who owns a kernel object: a network, a container and an interface, as a short text that the
//! kernel keeps beside the object (link alias, element comment).

use alloc::{format, string::String};
use core::fmt;

use sha2::{Digest, Sha256};

/// A CNI attachment: one interface of one container on one network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// CNI network name.
    pub network: String,
    /// CNI container id.
    pub container: String,
    /// Interface name inside the container.
    pub interface: String,
}

/// The text that marks a kernel object as owned, at most 160 bytes:
/// `ropewalk:<network hash>:<attachment hash> network/container/interface`.
///
/// Only the part before the blank decides; what follows it is for people and may be cut.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

const PREFIX: &str = "ropewalk:";
const LONGEST: usize = 160;

impl Owner {
    /// Stands for an interface that is not known; no interface can have this name.
    pub const ANY_INTERFACE: &'static str = "*/";

    /// The mark of this owner.
    pub fn tag(&self) -> Tag {
        let mut text = format!(
            "{PREFIX}{}:{} {}/{}/{}",
            Self::network_hash(&self.network),
            self.hash(),
            self.network,
            self.container,
            self.interface
        );
        // Names of containers and networks are ASCII, so that any byte is a character boundary.
        while text.len() > LONGEST || !text.is_char_boundary(text.len().min(LONGEST)) {
            text.pop();
        }
        Tag(text)
    }

    /// The name of an iptables chain that tells its owner: the prefix, at most 6 bytes, and the
    /// starts of both hashes, since a name has 28 bytes.
    pub fn chain_name(&self, prefix: &str) -> String {
        format!("{prefix}{}{}", &Self::network_hash(&self.network)[..10], &self.hash()[..12])
    }

    /// 16 hexadecimal digits that stand for the attachment.
    pub fn hash(&self) -> String {
        hex(&[&self.network, &self.container, &self.interface])
    }

    /// 16 hexadecimal digits that stand for a network.
    pub fn network_hash(network: &str) -> String {
        hex(&[network])
    }
}

/// Names cannot contain NUL, so that it separates them without doubt.
fn hex(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part);
        text.push('\0');
    }
    short_digest(&text)
}

/// The first 16 hexadecimal digits of the SHA-256 digest of a text.
pub(crate) fn short_digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    let number = digest[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

impl Tag {
    /// Reads a mark; `None` for a text that is not ours.
    pub fn parse(text: &str) -> Option<Self> {
        let hashes = text.strip_prefix(PREFIX)?.split(' ').next()?;
        let (network, attachment) = hashes.split_once(':')?;
        (network.len() == 16 && attachment.len() == 16).then(|| Self(text.into()))
    }

    /// The mark that the name of an iptables chain stands for, see [`Owner::chain_name`]. Its
    /// hashes are the starts of the owner's.
    pub fn of_chain_name(name: &str, prefix: &str) -> Option<Self> {
        let hashes = name.strip_prefix(prefix)?;
        let is_ours = hashes.len() == 22 && hashes.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| Self(format!("{PREFIX}{}:{} {name}", &hashes[..10], &hashes[10..])))
    }

    /// The mark of things that all attachments of a network share.
    pub fn shared(network: &str) -> Self {
        Self(format!("{PREFIX}{}:{:016} {network}", Owner::network_hash(network), 0))
    }

    /// The whole text, as the kernel keeps it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The hash of the network.
    pub fn network(&self) -> &str {
        self.identity().split(':').nth(1).unwrap_or_default()
    }

    /// The hash of the attachment.
    pub fn attachment(&self) -> &str {
        self.identity().split(':').nth(2).unwrap_or_default()
    }

    /// The part for people: `network/container/interface`, possibly cut.
    pub fn label(&self) -> &str {
        self.0.split_once(' ').map_or("", |(_, label)| label)
    }

    /// Whether the owner is an interface of this container, on whatever network. Where the label
    /// was cut within the container's name, what is left of it decides.
    pub fn is_of_container(&self, container: &str) -> bool {
        let mut parts = self.label().split('/').skip(1);
        let (name, rest) = (parts.next().unwrap_or_default(), parts.next());
        name == container || rest.is_none() && name.len() >= 16 && container.starts_with(name)
    }

    /// Whether both name the same owner.
    pub fn same_owner(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    fn identity(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn owner(interface: &str) -> Owner {
        Owner { network: "lan".into(), container: "c1".into(), interface: interface.into() }
    }

    #[test]
    fn a_tag_survives_the_way_through_the_kernel() {
        let tag = owner("eth0").tag();
        let read = Tag::parse(tag.text()).unwrap();
        assert!(read.same_owner(&tag));
        assert_eq!(read.to_string(), "lan/c1/eth0");
        assert_eq!(read.network(), Owner::network_hash("lan"));
        assert_eq!(read.attachment(), owner("eth0").hash());
    }

    #[test]
    fn other_interfaces_and_other_texts_are_other_owners() {
        assert!(!owner("eth0").tag().same_owner(&owner("eth1").tag()));
        assert_eq!(Tag::parse("uplink of the office"), None);
    }

    #[test]
    fn the_name_of_a_chain_tells_the_start_of_the_hashes() {
        let name = owner("eth0").chain_name("RW-PM-");
        assert_eq!(name.len(), 28);
        let tag = Tag::of_chain_name(&name, "RW-PM-").unwrap();
        assert!(owner("eth0").hash().starts_with(tag.attachment()));
        assert!(Owner::network_hash("lan").starts_with(tag.network()));
        assert_eq!(Tag::of_chain_name("RW-PM-ACCEPT", "RW-PM-"), None);
    }

    #[test]
    fn containers_are_told_apart_across_networks() {
        let other = Owner { network: "wan".into(), ..owner("eth1") };
        assert!(other.tag().is_of_container("c1"));
        assert!(!other.tag().is_of_container("c"));
        assert!(!other.tag().is_of_container("c10"));
        let long = Owner { container: "c".repeat(300), ..owner("eth0") };
        assert!(long.tag().is_of_container(&"c".repeat(300)));
        assert!(!long.tag().is_of_container("c1"));
    }

    #[test]
    fn long_names_are_cut_behind_the_hashes() {
        let long = Owner { container: "c".repeat(300), ..owner("eth0") };
        assert_eq!(long.tag().text().len(), LONGEST);
        assert!(Tag::parse(long.tag().text()).unwrap().same_owner(&long.tag()));
    }
}
