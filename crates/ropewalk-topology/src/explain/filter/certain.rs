//! What a chain does with all packets of somebody: those of which only the source and the links are
//! known. It must never guess: a rule that may not be for all of them ends the matter only by what
//! it might accept.

use alloc::{string::String, vec::Vec};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    super::{
        flows::Flows,
        packet::{Frame, Kind, Packet, Port},
    },
    Hook, Layer, Scene, State,
    chains::{Run, Said},
    expressions,
    registers::Registers,
};
use crate::model::{Chain, Content, Link, Rule, Table, Verdict};

/// Chains may not call themselves, and the kernel allows 16 levels.
const DEEPEST: u8 = 16;

/// Where packets are passed on, and from whom they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage<'a> {
    pub(crate) content: &'a Content,
    pub(crate) input: Option<&'a Link>,
    /// The link they leave through, if that is known.
    pub(crate) output: Option<&'a Link>,
    /// The ports of the bridge that passes them on, if one does.
    pub(crate) ports: (Option<&'a Link>, Option<&'a Link>),
    pub(crate) source: IpAddr,
}

/// What becomes of all new connections of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certain {
    /// They are let through.
    Accepted,
    /// A rule with this number drops them.
    Dropped(u64),
    /// No rule has anything to say.
    End,
    /// It depends on something else.
    Unknown,
}

/// What a forward chain does with them.
pub(crate) fn forwarded(table: &Table, chain: &Chain, passage: &Passage<'_>) -> Certain {
    let packet = any(passage.source);
    let tracking = Flows::default().track(0, &packet);
    let frame = Frame::default();
    let scene = Scene {
        namespace: 0,
        content: passage.content,
        hook: Hook::Forward,
        layer: Layer::Ip,
        input: passage.input,
        output: passage.output,
        next: None,
        ports: passage.ports,
        frame: Some(&frame),
    };
    let mut run = Run::new(&scene, table, State { packet, tracking }, Vec::new());
    walk(&mut run, chain, 0)
}

fn any(source: IpAddr) -> Packet {
    let destination = match source {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Packet {
        source,
        destination,
        protocol: 0,
        source_port: Port::Number(0),
        destination_port: Port::Number(0),
        is_answer: false,
        kind: Kind::Any,
        mark: 0,
    }
}

/// What a rule does.
enum Step {
    Next,
    Back,
    Is(Certain),
}

fn walk<'a>(run: &mut Run<'a>, chain: &'a Chain, depth: u8) -> Certain {
    if depth >= DEEPEST {
        return Certain::Unknown;
    }
    for rule in &chain.rules {
        match step(run, rule, depth) {
            Step::Next => {}
            Step::Back => return Certain::End,
            Step::Is(fate) => return fate,
        }
    }
    Certain::End
}

fn step<'a>(run: &mut Run<'a>, rule: &'a Rule, depth: u8) -> Step {
    run.registers = Registers::new();
    run.is_in_doubt = Some(false);
    for expression in &rule.expressions {
        let Some(said) = expressions::evaluate(run, expression) else { return Step::Next };
        let is_sure = run.is_in_doubt == Some(false);
        let drop = Verdict::Drop;
        let step = match &said {
            Said::Nothing | Said::Did(_) => continue,
            Said::Accepted(_) => Step::Is(Certain::Accepted),
            Said::Refused(..) => conclude(run, rule, &drop, depth),
            Said::Verdict(verdict) => conclude(run, rule, verdict, depth),
            Said::Unclear(_) => Step::Is(Certain::Unknown),
        };
        return match step {
            step if is_sure => step,
            Step::Is(Certain::Dropped(_)) | Step::Next => Step::Next,
            // What would be asked after it, or not.
            Step::Back | Step::Is(_) => Step::Is(Certain::Unknown),
        };
    }
    Step::Next
}

/// What a verdict comes to.
fn conclude(run: &mut Run<'_>, rule: &Rule, verdict: &Verdict, depth: u8) -> Step {
    let mut sub = |name: &String| {
        let chain = run.table.chains.iter().find(|chain| chain.name == *name);
        chain.map_or(Certain::Unknown, |chain| walk(run, chain, depth + 1))
    };
    match verdict {
        Verdict::Accept => Step::Is(Certain::Accepted),
        Verdict::Drop => Step::Is(Certain::Dropped(rule.handle)),
        Verdict::Return => Step::Back,
        Verdict::Continue => Step::Next,
        Verdict::Jump(name) => match sub(name) {
            Certain::End => Step::Next,
            fate => Step::Is(fate),
        },
        Verdict::Goto(name) => match sub(name) {
            Certain::End => Step::Back,
            fate => Step::Is(fate),
        },
        Verdict::Other(_) => Step::Is(Certain::Unknown),
    }
}
