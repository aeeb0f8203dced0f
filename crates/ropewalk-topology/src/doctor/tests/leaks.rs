//! What is left of the gone is found, and nothing of the living is given to be mended.

use super::*;
use crate::model::{Element, Filter, Gap};

/// A healthy host whose first container is not on record.
fn forgotten() -> (Host, Papers) {
    let (host, mut papers) = healthy();
    papers.records.remove(0);
    (host, papers)
}

/// As [`forgotten`], with both ends of the container's pair on the host.
fn ends_on_the_host() -> (Host, Papers) {
    let (mut host, papers) = forgotten();
    let end = on(link(9, "end", "veth"), 3, None);
    own(&mut host).links.push(end);
    own(&mut host).links[1] = on(own(&mut host).links[1].clone(), 9, None);
    host.namespaces.remove(1);
    host.namespaces[0].numbers = BTreeMap::from([(2, 1)]);
    (host, papers)
}

/// A table of ours with an element of the first container, and a chain of iptables with a rule.
fn rules(key: &[u8]) -> Filter {
    let element = |key: &[u8]| Element {
        key: key.to_vec(),
        comment: Some("mark of c1".into()),
        ..Element::default()
    };
    let mut table = Table { name: "ropewalk".into(), ..strict(Vec::new()) };
    table.chains.clear();
    table.sets[0].elements = vec![element(key)];
    Filter { tables: vec![table], ..Filter::default() }
}

/// A chain that iptables made, named by the start of the first container's hash.
fn chain(address: &[u8]) -> Filter {
    let accept = [comes_from(address), vec![verdict(Verdict::Accept)]].concat();
    let table = strict(Vec::new());
    let chain = Chain { name: "RW-c".into(), base: None, rules: vec![rule(1, accept)], handle: 1 };
    let tables = vec![Table { chains: vec![chain], sets: Vec::new(), ..table }];
    Filter { tables, ..Filter::default() }
}

fn attachment(mend: Option<&Mend>) -> Option<&str> {
    match mend {
        Some(Mend::Forget { attachment, .. }) => Some(attachment),
        _ => None,
    }
}

#[test]
fn links_of_the_forgotten_are_found_and_those_of_the_living_are_not() {
    let (mut host, mut papers) = forgotten();
    assert_eq!(one(&host, &papers, "leaked-link").object, "v1");
    // A damaged record is one, too, and so is a process.
    papers.damaged = vec!["lan-c1-eth0".into()];
    assert_eq!(names(&host, &papers), [""; 0]);
    papers.damaged.clear();
    host.namespaces[1].process_count = 1;
    assert_eq!(names(&host, &papers), [""; 0]);
}

#[test]
fn links_are_forgotten_only_where_no_namespace_is_at_the_other_end() {
    let (host, papers) = ends_on_the_host();
    let found = one(&host, &papers, "leaked-link");
    assert_eq!((found.object.as_str(), attachment(found.mend.as_ref())), ("v1", Some("c1")));
    // One that is mounted may be that of a container between two processes.
    let (mut host, papers) = forgotten();
    let found = one(&host, &papers, "leaked-link");
    assert!(found.evidence.contains("while its namespace is there"), "{found:#?}");
    assert_eq!(found.mend, None);
    // So it is if its end was not there yet when the namespace was read.
    let ends = core::mem::take(&mut of(&mut host, 1).links);
    assert_eq!(one(&host, &papers, "leaked-link").mend, None);
    of(&mut host, 1).links = ends;
    // One that was not found is there, or its end of the pair would not be.
    host.namespaces.remove(1);
    host.namespaces[0].numbers = BTreeMap::from([(2, 1)]);
    let found = one(&host, &papers, "leaked-link");
    assert!(found.evidence.contains("in no namespace that can be found"), "{found:#?}");
    assert_eq!(found.mend, None);
}

#[test]
fn a_link_without_another_end_is_forgotten_unless_a_namespace_is_hidden() {
    let (mut host, papers) = forgotten();
    host.namespaces.remove(1);
    host.namespaces[0].numbers = BTreeMap::from([(2, 1)]);
    own(&mut host).links[1] = Link { alias: Some("mark of c1".into()), ..link(3, "i1", "ifb") };
    let found = one(&host, &papers, "leaked-link");
    assert_eq!(attachment(found.mend.as_ref()), Some("c1"));
    own(&mut host).links.push(on(link(9, "v9", "veth"), 2, Some(7)));
    assert_eq!(one(&host, &papers, "leaked-link").mend, None);
}

#[test]
fn nothing_is_left_behind_where_not_all_was_seen() {
    for (what, hide) in [
        ("named", (|_, papers| papers.is_partial = true) as fn(&mut Host, &mut Papers)),
        ("unread", |host, _| host.namespaces[2].content = Err("refused".into())),
        ("without links", |host, _| {
            of(host, 2).gaps = vec![Gap { what: "links".into(), reason: "refused".into() }];
        }),
    ] {
        let (mut host, mut papers) = ends_on_the_host();
        // A container more, so that the second namespace is one of those.
        host.namespaces.push(namespace(4, Content::default()));
        papers.records.push(Record { path: "/gone".into(), ..Record::default() });
        own(&mut host).filter = rules(&[10, 1, 0, 11]);
        papers.books = vec![books_with("10.1.0.99")];
        let expected = ["leaked-link", "stale-rules", "stale-record", "lease-without-container"];
        assert_eq!(names(&host, &papers), expected, "{what}");
        hide(&mut host, &mut papers);
        assert_eq!(names(&host, &papers), [""; 0], "{what}");
    }
}

#[test]
fn rules_that_name_an_address_of_a_namespace_are_not_forgotten() {
    for filter in [rules(&[6, 10, 1, 0, 11]), chain(&[10, 1, 0, 11])] {
        // Its link is not marked, as that of a macvlan, which is in the container as a whole.
        let (mut host, mut papers) = forgotten();
        let mark = Mark { attachment: "c".into(), owner: "c of lan".into() };
        papers.marks.insert("RW-c".into(), mark);
        papers.records.clear();
        own(&mut host).links.iter_mut().for_each(|link| link.alias = None);
        own(&mut host).filter = filter;
        let found = one(&host, &papers, "stale-rules");
        assert!(found.evidence.contains("while its namespace is there"), "{found:#?}");
        assert_eq!(found.mend, None);
        host.namespaces[1].process_count = 1;
        assert_eq!(names(&host, &papers), [""; 0]);
        host.namespaces[1].process_count = 0;
        of(&mut host, 1).addresses.clear();
        assert!(one(&host, &papers, "stale-rules").mend.is_some());
    }
}

#[test]
fn elements_are_not_forgotten_while_a_chain_of_the_same_names_an_address() {
    let (mut host, mut papers) = forgotten();
    papers.marks.insert("RW-c".into(), Mark { attachment: "c".into(), owner: "RW-c".into() });
    papers.records.clear();
    own(&mut host).links.iter_mut().for_each(|link| link.alias = None);
    let mut filter = rules(&[1, 2, 3]);
    filter.tables.extend(chain(&[10, 1, 0, 11]).tables);
    own(&mut host).filter = filter;
    let found = one(&host, &papers, "stale-rules");
    assert_eq!((found.object.as_str(), &found.mend), ("lan/c1/eth0", &None), "{found:#?}");
}

#[test]
fn rules_are_not_forgotten_while_their_link_leads_to_a_namespace() {
    let (mut host, papers) = forgotten();
    own(&mut host).filter = rules(&[1, 2, 3]);
    let found = examine(&host, &papers);
    assert_eq!(
        found.iter().map(|one| one.check.name).collect::<Vec<_>>(),
        ["leaked-link", "stale-rules"]
    );
    assert!(found.iter().all(|one| one.mend.is_none()), "{found:#?}");
}

#[test]
fn leases_are_given_back_only_where_every_namespace_was_found() {
    let (mut host, mut papers) = healthy();
    papers.books = vec![books_with("10.1.0.99")];
    let found = one(&host, &papers, "lease-without-container");
    assert!(matches!(&found.mend, Some(Mend::Release(lease)) if lease.container == "gone"));
    own(&mut host).links.push(on(link(9, "v9", "veth"), 2, Some(7)));
    assert_eq!(names(&host, &papers), [""; 0], "it may be behind that link");
}

#[test]
fn without_a_folder_of_records_nothing_is_mended() {
    let (mut host, mut papers) = ends_on_the_host();
    own(&mut host).filter = rules(&[1, 2, 3]);
    papers.books = vec![books_with("10.1.0.99")];
    let mended = |papers: &Papers| {
        examine(&host, papers).iter().map(|one| one.mend.is_some()).collect::<Vec<bool>>()
    };
    assert_eq!(mended(&papers), [true; 3]);
    papers.is_unrecorded = true;
    assert_eq!(mended(&papers), [false; 3]);
}

#[test]
fn what_others_have_on_record_is_theirs() {
    let (mut host, mut papers) = healthy();
    let theirs = papers.records.remove(0);
    papers.books = vec![books_with("10.1.0.99")];
    papers.books[0].leases[0].container = "c1".into();
    own(&mut host).filter = rules(&[1, 2, 3]);
    let expected = ["leaked-link", "stale-rules", "lease-without-container"];
    assert_eq!(names(&host, &papers), expected);
    papers.elsewhere = vec![theirs];
    assert_eq!(names(&host, &papers), [""; 0]);
    // They say themselves when one is gone; only what they have not is then collected.
    papers.elsewhere[0].namespace = None;
    assert_eq!(names(&host, &papers), ["leaked-link", "stale-rules"]);
    assert_eq!(examine(&host, &papers)[1].command, "ropewalk doctor --fix");
}

/// Books in which a container that nobody knows has an address.
fn books_with(ip: &str) -> books::Books {
    let lease = books::Lease {
        ip: samples::ip(ip),
        space: "lan".into(),
        host: "here".into(),
        network: "lan".into(),
        container: "gone".into(),
        interface: "eth0".into(),
        since: 100,
        is_held: true,
    };
    books::Books { host: "here".into(), leases: vec![lease], ..books::Books::default() }
}
