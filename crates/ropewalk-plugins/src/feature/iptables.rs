//! Rules and chains in one table of iptables, for those who declare several.

use ropewalk_addr::Family;
use ropewalk_netstate::{
    Desired, Lifetime, Place,
    resource::{IptablesChain, IptablesRule, iptables::Position},
};

/// One table of one family.
pub(crate) struct Table<'a> {
    pub(crate) desired: &'a mut Desired,
    pub(crate) family: Family,
    /// `filter` or `nat`.
    pub(crate) name: &'static str,
}

impl Table<'_> {
    /// Declares a rule; each word is one argument of `iptables`.
    pub(crate) fn rule<W: AsRef<str>>(
        &mut self,
        lifetime: Lifetime,
        chain: &str,
        position: Position,
        words: &[W],
    ) {
        let rule = IptablesRule {
            family: self.family,
            table: self.name.into(),
            chain: chain.into(),
            position,
            specification: words.iter().map(|word| word.as_ref().to_owned()).collect(),
        };
        self.desired.push(Place::Host, lifetime, rule);
    }

    /// Declares a chain that all containers share.
    pub(crate) fn shared_chain(&mut self, name: &str) {
        let chain = IptablesChain {
            family: self.family,
            table: self.name.into(),
            name: name.into(),
            referenced_from: Vec::new(),
        };
        self.desired.push(Place::Host, Lifetime::Shared, chain);
    }
}
