//! What was left behind: links, rules, records and leases of attachments that nobody keeps.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{cmp::Reverse, net::IpAddr};

use super::{
    Mark, Mend, Papers, Record,
    books::{Books, Found, Kind, judge},
    checks::Fact,
    owners,
    view::{View, listed},
};
use crate::{
    model::{Chain, Data, Element, Expression, FilterFamily, Namespace, Rule, Table},
    shell,
};

impl View<'_> {
    /// Whether all that is there was seen: what was not found is nowhere only then.
    fn sees_all(&self) -> bool {
        let is_read = |one: &Namespace| {
            one.content().is_some_and(|content| {
                content.gaps.iter().all(|gap| !["links", "addresses"].contains(&gap.what.as_str()))
            })
        };
        !self.papers.is_partial && self.host.namespaces.iter().all(is_read)
    }

    /// Whether a link leads to a namespace that was not found. It is there all the same: the link
    /// would be gone with it.
    fn misses_some(&self) -> bool {
        self.links().any(|(at, link)| {
            let lower = link.lower.filter(|lower| lower.index != 0);
            let number = lower.and_then(|lower| lower.namespace);
            let numbers = self.graph.namespace(at).map(|one| &one.numbers);
            number.is_some_and(|number| {
                let number = u32::try_from(number).ok();
                !number.zip(numbers).is_some_and(|(number, all)| all.contains_key(&number))
            })
        })
    }

    /// Whether somebody keeps the owner. Names of chains tell the starts of hashes.
    fn keeps(&self, mark: &Mark) -> bool {
        let mut behind = self.alive.range(mark.attachment.clone()..);
        behind.next().is_some_and(|hash| hash.starts_with(&mark.attachment))
            || owners::is_damaged(mark, self.papers)
    }
}

/// Which attachments of nobody may be forgotten. A namespace without processes may be that of a
/// container that is about to start again, whose runtime will not attach it anew.
struct Forgettable {
    /// Whether there is no folder of records.
    is_unrecorded: bool,
    /// Whether somebody may be where nobody could look.
    misses_some: bool,
    /// Attachments that lead to a namespace, or name an address of one.
    held: BTreeSet<String>,
}

impl Forgettable {
    fn of(view: &View<'_>) -> Self {
        let leads_away = |at| match view.graph.peer(at) {
            Some(peer) => view.graph.namespace(peer).is_none_or(|one| !one.is_own),
            None => view.graph.link(at).is_some_and(|link| link.is("veth")),
        };
        let links = view.links().filter(|(at, _)| leads_away(*at));
        let links = links.filter_map(|(_, link)| owners::of_link(link, view.papers));
        let mut held: BTreeSet<String> = links.map(|mark| mark.attachment.clone()).collect();
        let there = addresses(view, |_| true);
        for (_, _, content) in view.contents().filter(|(_, one, _)| one.is_own) {
            let tables = content.filter.tables.iter().chain(&content.filter.legacy);
            let marked = tables.flat_map(|one| marked(one, &there, view.papers));
            held.extend(
                marked.filter(|(.., is_there)| *is_there).map(|(mark, ..)| mark.attachment.clone()),
            );
        }
        let is_unrecorded = view.papers.is_unrecorded;
        Self { is_unrecorded, misses_some: view.misses_some(), held }
    }

    /// What forgets an attachment, and words about why nothing does.
    fn mend(&self, mark: &Mark) -> (Option<Mend>, &'static str) {
        let attachment = mark.attachment.as_str();
        // Names of chains tell the starts of hashes.
        let is_same = |one: &String| one.starts_with(attachment) || attachment.starts_with(one);
        if self.held.iter().any(is_same) {
            return (None, "; --fix leaves it alone while its namespace is there");
        }
        if self.is_unrecorded {
            return (None, "; --fix leaves it alone while no folder of records is there");
        }
        if self.misses_some {
            return (None, "; --fix leaves it alone while some namespace cannot be found");
        }
        let owner = mark.owner.clone();
        (Some(Mend::Forget { attachment: attachment.into(), owner }), "")
    }
}

pub(super) fn links(view: &View<'_>) -> Vec<Fact> {
    if !view.sees_all() {
        return Vec::new();
    }
    let forgettable = Forgettable::of(view);
    let mut facts = Vec::new();
    for (at, link) in view.links() {
        let is_own = view.graph.namespace(at).is_some_and(|one| one.is_own);
        let mark = owners::of_link(link, view.papers).filter(|_| is_own);
        let Some(mark) = mark.filter(|mark| !view.keeps(mark)) else { continue };
        let end = match view.graph.peer(at) {
            Some(peer) => format!("its other end is {}, where no process is", view.called(peer)),
            None if link.is("veth") => "its other end is in no namespace that can be found".into(),
            None => "it is all that is left".into(),
        };
        let (mend, but) = forgettable.mend(mark);
        facts.push(Fact {
            link: Some(at),
            object: view.called(at),
            evidence: format!("{} is not on record, and {end}{but}", mark.owner),
            command: shell::command(&["ip", "link", "delete", &link.name]),
            mend,
            ..Fact::default()
        });
    }
    facts
}

/// An owner's things: how many are where, and whether one of them names an address in use.
#[derive(Default)]
struct Left {
    places: BTreeMap<String, usize>,
    is_in_use: bool,
}

pub(super) fn rules(view: &View<'_>) -> Vec<Fact> {
    if !view.sees_all() {
        return Vec::new();
    }
    let forgettable = Forgettable::of(view);
    let used = addresses(view, |namespace| namespace.process_count > 0);
    let mut facts = Vec::new();
    for (namespace, _, content) in view.contents().filter(|(_, one, _)| one.is_own) {
        let mut left: BTreeMap<&Mark, Left> = BTreeMap::new();
        let tables = content.filter.tables.iter().chain(&content.filter.legacy);
        let mut all: Vec<_> = tables.flat_map(|one| marked(one, &used, view.papers)).collect();
        // The name of a chain tells the start of the hash alone, and no words.
        all.sort_by_key(|(mark, ..)| Reverse(mark.attachment.len()));
        for (mark, place, is_in_use) in all {
            let is_same = |one: &&&Mark| one.attachment.starts_with(&mark.attachment);
            let whole = left.keys().find(is_same).copied().unwrap_or(mark);
            let left = left.entry(whole).or_default();
            *left.places.entry(place).or_default() += 1;
            left.is_in_use |= is_in_use;
        }
        let dead = left.into_iter().filter(|(mark, left)| !view.keeps(mark) && !left.is_in_use);
        facts.extend(dead.map(|(mark, left)| {
            let counted = left.places.iter().map(|(place, count)| format!("{count} in {place}"));
            // Garbage is what we have not on record: what others have would go, too.
            let is_of_us = |network: &str| {
                view.papers.elsewhere.iter().all(|record| record.network != network)
            };
            let command = match mark.owner.split_once('/') {
                Some((network, _)) if is_of_us(network) => {
                    shell::command(&["ropewalk", "gc", network, "--recorded"])
                }
                _ => "ropewalk doctor --fix".into(),
            };
            let (mend, but) = forgettable.mend(mark);
            Fact {
                namespace,
                object: mark.owner.clone(),
                evidence: format!(
                    "{} of {}, which is not on record{but}",
                    listed(&counted.collect::<Vec<String>>()),
                    mark.owner
                ),
                command,
                mend,
                ..Fact::default()
            }
        }));
    }
    facts
}

/// What is marked with owners: the mark, where it is, and whether it names an address in use.
fn marked<'a>(
    table: &'a Table,
    used: &'a BTreeSet<Vec<u8>>,
    papers: &'a Papers,
) -> impl Iterator<Item = (&'a Mark, String, bool)> + 'a {
    let name = format!("{} {}", table.family.name(), table.name);
    let is_ours = table.name == "ropewalk"
        && matches!(table.family, FilterFamily::Inet | FilterFamily::Bridge);
    let sets = table.sets.iter().filter(move |_| is_ours);
    let elements = sets.flat_map(|set| set.elements.iter().map(move |one| (&set.name, one)));
    // What has been deleted goes when its time comes, which is a matter of milliseconds.
    let elements = elements.filter(|(_, element)| element.expires.is_none());
    let of_elements = {
        let name = name.clone();
        elements.filter_map(move |(set, element)| {
            let mark = papers.marks.get(element.comment.as_ref()?)?;
            Some((mark, format!("{name} {set}"), is_in_use(element, used)))
        })
    };
    let chains = table.chains.iter().filter_map(move |chain| {
        let mark = papers.marks.get(&chain.name)?;
        Some((mark, format!("{name} {}", chain.name), names_one(chain, used)))
    });
    of_elements.chain(chains)
}

/// The addresses of some namespaces, but for the own one.
fn addresses(view: &View<'_>, is_one: impl Fn(&Namespace) -> bool) -> BTreeSet<Vec<u8>> {
    let some = view.contents().filter(|(_, one, _)| !one.is_own && is_one(one));
    some.flat_map(|(_, _, content)| &content.addresses)
        .filter(|address| address.scope == 0)
        .map(|address| match address.ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        })
        .collect()
}

/// Whether there is an address in use among bytes: a runtime may keep its records elsewhere.
fn names(bytes: &[u8], used: &BTreeSet<Vec<u8>>) -> bool {
    [4, 16].into_iter().any(|length| bytes.windows(length).any(|part| used.contains(part)))
}

fn is_in_use(element: &Element, used: &BTreeSet<Vec<u8>>) -> bool {
    let data = match &element.data {
        Some(Data::Value(bytes)) => bytes.as_slice(),
        _ => &[],
    };
    names(&element.key, used) || names(data, used)
}

/// Whether a rule of a chain compares with an address in use, or translates to it.
fn names_one(chain: &Chain, used: &BTreeSet<Vec<u8>>) -> bool {
    let expressions = chain.rules.iter().flat_map(|rule: &Rule| &rule.expressions);
    expressions.into_iter().any(|one| match one {
        Expression::Compare { value: bytes, .. }
        | Expression::Immediate { data: Data::Value(bytes), .. }
        | Expression::Match { info: bytes, .. }
        | Expression::Target { info: bytes, .. } => names(bytes, used),
        _ => false,
    })
}

/// The command that deletes what is on record.
fn delete(record: &Record) -> String {
    shell::command(&[&["ropewalk", "del", &record.network][..], &options(record)].concat())
}

/// A command for what is on record with its namespace.
fn anew(verb: &str, record: &Record) -> String {
    let place = ["ropewalk", verb, &record.network, &record.path];
    shell::command(&[place, options(record)].concat())
}

fn options(record: &Record) -> [&str; 4] {
    ["--container-id", &record.container, "--ifname", &record.interface]
}

/// A command that asks books of addresses.
fn asked(books: &Books, question: &[&str]) -> String {
    shell::command(&[&["ropewalk", "ipam", "--database", &books.url], question].concat())
}

pub(super) fn records(view: &View<'_>) -> Vec<Fact> {
    if !view.sees_all() {
        return Vec::new();
    }
    // A path may be one that only its runtime sees, while the container runs.
    let gone = |one: &&Record| {
        !one.path.is_empty() && one.namespace.is_none() && !view.alive.contains(&one.hash)
    };
    let fact = |record: &Record| Fact {
        object: format!("{}/{}/{}", record.network, record.container, record.interface),
        evidence: format!("it is on record in {}, which is gone", record.path),
        command: delete(record),
        ..Fact::default()
    };
    view.papers.records.iter().filter(gone).map(fact).collect()
}

/// The addresses that containers have, and where.
pub(super) fn found(view: &View<'_>) -> Found {
    let mut found = Found::new();
    for (at, namespace, content) in view.contents() {
        let global = content.addresses.iter().filter(|one| !namespace.is_own && one.scope == 0);
        for address in global {
            let names = found.entry(address.ip).or_default();
            let name = view.name(at);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    found
}

pub(super) fn leases(view: &View<'_>) -> Vec<Fact> {
    // An address that was not found may be where nobody could look.
    if !view.sees_all() || view.misses_some() {
        return Vec::new();
    }
    let found = found(view);
    let mut facts = Vec::new();
    for books in &view.papers.books {
        let all = judge(&found, books).into_iter().filter(|one| one.kind == Kind::Leak);
        for (lease, text) in all.filter_map(|one| Some((one.lease?, one.text))) {
            let (ip, space) = (lease.ip, &lease.space);
            let is_its = |record: &&Record| {
                (&record.network, &record.container) == (&lease.network, &lease.container)
                    && [&record.interface, ""].contains(&lease.interface.as_str())
            };
            let record = view.papers.records.iter().find(is_its);
            let is_damaged =
                view.papers.damaged.iter().any(|name| *name == lease.holder().replace('/', "-"));
            // What is on record is the runtime's to delete; it says so itself when that is gone.
            let is_of_others = view.papers.elsewhere.iter().any(|one| is_its(&one));
            if record.is_some_and(|one| one.namespace.is_none()) || is_of_others || is_damaged {
                continue;
            }
            let may_mend = record.is_none() && !view.papers.is_unrecorded;
            let command = match record {
                Some(one) => delete(one),
                None => asked(books, &["release", &ip.to_string(), space]),
            };
            facts.push(Fact {
                object: ip.to_string(),
                evidence: format!("{ip} {text}"),
                command,
                mend: may_mend.then(|| Mend::Release(lease.clone())),
                ..Fact::default()
            });
        }
    }
    facts
}

pub(super) fn strangers(view: &View<'_>) -> Vec<Fact> {
    let found = found(view);
    let mut facts = Vec::new();
    for books in &view.papers.books {
        let all = judge(&found, books).into_iter().filter(|one| one.kind == Kind::Stranger);
        facts.extend(all.map(|one| {
            let ip = one.ip.to_string();
            let command = match one.space.filter(|_| one.lease.is_none()) {
                Some(space) => asked(books, &["reserve", &ip, space]),
                None => asked(books, &["who", &ip]),
            };
            let evidence = format!("{} {}", one.ip, one.text);
            Fact { object: ip, evidence, command, ..Fact::default() }
        }));
    }
    // A folder knows no pools; what is on record tells what must be in it.
    for record in view.papers.records.iter().filter(|one| one.namespace.is_some()) {
        let Some(books) = view.papers.books.iter().find(|one| Some(one.kind) == record.books)
        else {
            continue;
        };
        let is_there = |ip: &&IpAddr| found.contains_key(ip);
        let is_leased = |ip: &IpAddr| {
            let mut leases = books.leases.iter();
            leases.any(|lease| (lease.ip, &lease.network) == (*ip, &record.network))
        };
        let missing = record.addresses.iter().filter(is_there).filter(|ip| !is_leased(ip));
        let missing = missing.filter(|ip| facts.iter().all(|fact| fact.object != ip.to_string()));
        let missing: Vec<&IpAddr> = missing.collect();
        facts.extend(missing.into_iter().map(|ip| Fact {
            object: ip.to_string(),
            evidence: format!(
                "{ip} is in {} of {}, and no lease of network {} is for it",
                record.interface, record.container, record.network
            ),
            command: ["del", "add"].map(|verb| anew(verb, record)).join(" && "),
            ..Fact::default()
        }));
    }
    facts
}
