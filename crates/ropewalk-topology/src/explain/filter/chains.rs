//! One base chain with all it leads to. What a rule asks that is not known is tried both ways: if
//! the packet fares the same, it does not matter.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{
    super::{
        trace::{Deed, RuleAt, Told},
        words,
    },
    Fate, Scene, State,
    registers::Registers,
};
use crate::model::{Chain, Expression, Rule, Table, Verdict};

/// How many questions are tried both ways before it is too much.
const MOST_QUESTIONS: usize = 6;
/// `NFT_JUMP_STACK_SIZE`.
const DEEPEST: usize = 16;

/// What a rule makes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is not for this packet, or has no verdict.
    Nothing,
    Verdict(Verdict),
    /// It goes on; the text says what was done.
    Accepted(String),
    /// Something was done; the next rule is asked.
    Did(String),
    Refused(Told, String),
    Unclear(String),
}

/// A base chain while it is asked.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) table: &'a Table,
    pub(super) state: State,
    pub(super) registers: Registers,
    pub(super) deeds: Vec<Deed>,
    /// The chains that led here.
    through: Vec<String>,
    /// The rule that is being asked.
    here: Option<(&'a Chain, &'a Rule, usize)>,
    answers: Vec<bool>,
    asked: usize,
    /// The first question that has no answer yet.
    open: Option<(String, RuleAt)>,
    /// Where questions are not tried both ways but taken for yes: whether there was one.
    pub(super) is_in_doubt: Option<bool>,
}

/// How a chain ends.
enum Ended {
    With(Fate),
    AtItsEnd,
}

/// What a base chain makes of a packet.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) fate: Fate,
    pub(super) state: State,
    pub(super) deeds: Vec<Deed>,
}

impl Leaf {
    fn is_same(&self, other: &Self) -> bool {
        let kind = |fate: &Fate| match fate {
            Fate::Goes => 0,
            Fate::Ends { .. } => 1,
            Fate::Unknown { .. } => 2,
        };
        kind(&self.fate) == kind(&other.fate)
            && (self.state == other.state || matches!(self.fate, Fate::Ends { .. }))
    }
}

/// Asks a base chain.
pub(super) fn ask(scene: &Scene<'_>, table: &Table, chain: &Chain, state: &State) -> Leaf {
    let (leaves, first) = explore(scene, table, chain, state, Vec::new());
    let mut leaves = leaves.into_iter().rev();
    // There is always one; an empty list would mean that nothing was asked.
    let Some(leaf) = leaves.next() else {
        return Leaf { fate: Fate::Goes, state: state.clone(), deeds: Vec::new() };
    };
    match first {
        Some((why, rule)) if leaves.any(|other| !other.is_same(&leaf)) => {
            Leaf { fate: Fate::Unknown { why, rule }, ..leaf }
        }
        _ => leaf,
    }
}

/// Every way it can go, and the first question.
fn explore(
    scene: &Scene<'_>,
    table: &Table,
    chain: &Chain,
    state: &State,
    answers: Vec<bool>,
) -> (Vec<Leaf>, Option<(String, RuleAt)>) {
    let mut run = Run::new(scene, table, state.clone(), answers);
    let fate = run.base(chain);
    let Run { state: after, deeds, answers, open, .. } = run;
    let Some((why, rule)) = open else {
        return (Vec::from([Leaf { fate, state: after, deeds }]), None);
    };
    if answers.len() >= MOST_QUESTIONS {
        let fate = Fate::Unknown { why: why.clone(), rule: rule.clone() };
        let leaf = Leaf { fate, state: after, deeds };
        return (Vec::from([leaf]), Some((why, rule)));
    }
    let mut leaves = Vec::new();
    for answer in [true, false] {
        let mut answers = answers.clone();
        answers.push(answer);
        leaves.extend(explore(scene, table, chain, state, answers).0);
    }
    (leaves, Some((why, rule)))
}

impl<'a> Run<'a> {
    pub(super) fn new(
        scene: &'a Scene<'a>,
        table: &'a Table,
        state: State,
        answers: Vec<bool>,
    ) -> Self {
        Self {
            scene,
            table,
            state,
            registers: Registers::new(),
            deeds: Vec::new(),
            through: Vec::new(),
            here: None,
            answers,
            asked: 0,
            open: None,
            is_in_doubt: None,
        }
    }

    fn base(&mut self, chain: &'a Chain) -> Fate {
        let accepts = chain.base.as_ref().is_none_or(|base| base.accepts);
        match self.chain(chain) {
            Ended::With(fate) => fate,
            Ended::AtItsEnd if accepts => Fate::Goes,
            Ended::AtItsEnd => Fate::Ends {
                told: Told::Nothing,
                rule: words::policy(self.scene.namespace, self.table, chain),
                action: "policy drop".into(),
            },
        }
    }

    fn chain(&mut self, chain: &'a Chain) -> Ended {
        for (position, rule) in chain.rules.iter().enumerate() {
            self.here = Some((chain, rule, position + 1));
            match self.rule(rule) {
                Said::Nothing => {}
                Said::Did(action) => self.note(&action),
                Said::Accepted(action) => {
                    self.note(&action);
                    return Ended::With(Fate::Goes);
                }
                Said::Refused(told, action) => {
                    return Ended::With(Fate::Ends { told, rule: self.place(), action });
                }
                Said::Unclear(why) => {
                    return Ended::With(Fate::Unknown { why, rule: self.place() });
                }
                Said::Verdict(verdict) => {
                    if let Some(ended) = self.follow(chain, verdict) {
                        return ended;
                    }
                }
            }
        }
        Ended::AtItsEnd
    }

    /// Does what a verdict says; nothing if the next rule is to be asked.
    fn follow(&mut self, chain: &'a Chain, verdict: Verdict) -> Option<Ended> {
        let unclear =
            |run: &Self, why: String| Some(Ended::With(Fate::Unknown { why, rule: run.place() }));
        match verdict {
            Verdict::Continue => None,
            Verdict::Return => Some(Ended::AtItsEnd),
            Verdict::Accept => {
                self.note("accept");
                Some(Ended::With(Fate::Goes))
            }
            Verdict::Drop => {
                let (told, action) = (Told::Nothing, "drop".into());
                Some(Ended::With(Fate::Ends { told, rule: self.place(), action }))
            }
            Verdict::Jump(to) | Verdict::Goto(to) if self.through.len() >= DEEPEST => {
                unclear(self, format!("chains lead to each other too often, at {to}"))
            }
            Verdict::Jump(to) => match self.lead(chain, &to) {
                Some(Ended::AtItsEnd) => None,
                other => other.or_else(|| unclear(self, format!("chain {to} was not read"))),
            },
            Verdict::Goto(to) => {
                self.lead(chain, &to).or_else(|| unclear(self, format!("chain {to} was not read")))
            }
            Verdict::Other(code) if code & 0xff == 3 => {
                unclear(self, "it hands packets to a program (queue)".into())
            }
            Verdict::Other(code) => unclear(self, format!("verdict {code} is not known")),
        }
    }

    /// Asks another chain of the table.
    fn lead(&mut self, from: &'a Chain, to: &str) -> Option<Ended> {
        let chain = self.table.chains.iter().find(|chain| chain.name == to)?;
        let here = self.here;
        self.through.push(from.name.clone());
        let ended = self.chain(chain);
        self.through.pop();
        self.here = here;
        Some(ended)
    }

    fn rule(&mut self, rule: &'a Rule) -> Said {
        let mut did: Vec<String> = Vec::new();
        for expression in &rule.expressions {
            match self.expression(expression) {
                // The rest is not for this packet.
                None => break,
                Some(Said::Nothing) => {}
                Some(Said::Did(action)) => did.push(action),
                Some(said) => {
                    for action in did {
                        self.note(&action);
                    }
                    return said;
                }
            }
        }
        if did.is_empty() { Said::Nothing } else { Said::Did(did.join(", ")) }
    }

    /// What a step does: nothing at all, if the rule is not for this packet.
    fn expression(&mut self, expression: &'a Expression) -> Option<Said> {
        super::expressions::evaluate(self, expression)
    }

    /// Asks what is not known: the answer is tried both ways.
    pub(super) fn ask(&mut self, why: &str) -> bool {
        if let Some(is_in_doubt) = &mut self.is_in_doubt {
            *is_in_doubt = true;
            return true;
        }
        let answer = self.answers.get(self.asked).copied();
        self.asked += 1;
        if answer.is_none() && self.open.is_none() {
            self.open = Some((why.to_string(), self.place()));
        }
        answer.unwrap_or(false)
    }

    /// The answer if it is known, else both.
    pub(super) fn is(&mut self, answer: Option<bool>, why: &str) -> bool {
        answer.unwrap_or_else(|| self.ask(why))
    }

    fn note(&mut self, action: &str) {
        let deed = Deed { rule: self.place(), action: action.to_string() };
        self.deeds.push(deed);
    }

    fn place(&self) -> RuleAt {
        let (namespace, table) = (self.scene.namespace, self.table);
        match self.here {
            Some((chain, rule, position)) => {
                words::at(namespace, table, (chain, rule, position), &self.through)
            }
            None => words::nowhere(namespace, table),
        }
    }
}
