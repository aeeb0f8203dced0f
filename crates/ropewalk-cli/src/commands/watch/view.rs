//! What is shown: a tree of namespaces and links, changes below it, and what was typed.
//!
//! It must never ask the kernel: it shows what it was told.

use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use ropewalk_topology::draw::words;
use ropewalk_topology::model::{Host, Link, Namespace};
use ropewalk_topology::{Act, Change, Graph, LinkAt};

use super::keys::Key;
use super::screen::{Line, Size, Style};
use crate::live::{LinkId, Rate};

/// How many changes are kept.
const KEPT: usize = 500;

/// Rows of changes, at most, and what share of the screen.
const MOST_CHANGES: usize = 12;

/// What a person sees, and how they look at it.
#[derive(Debug, Default)]
pub(super) struct View {
    tree: Vec<Row>,
    log: VecDeque<(String, Change)>,
    chosen: usize,
    top: usize,
    filter: String,
    is_typing: bool,
    is_paused: bool,
}

/// Name, what it is, state, rate, addresses, what it is a part of.
const COLUMNS: usize = 6;

/// A row of the tree.
#[derive(Debug)]
struct Row {
    is_namespace: bool,
    is_up: bool,
    cells: [String; COLUMNS],
}

impl View {
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn see(&mut self, host: &Host, rates: &BTreeMap<LinkId, Rate>) {
        let graph = Graph::of(host);
        self.tree.clear();
        for (position, namespace) in host.namespaces.iter().enumerate() {
            let content = namespace.content();
            let links = content.into_iter().flat_map(|content| &content.links);
            let rows: Vec<Row> = links
                .filter(|link| !link.is_loopback())
                .map(|link| {
                    let at = LinkAt { namespace: position, index: link.index };
                    row(&graph, namespace, (at, link), rates)
                })
                .collect();
            let name = words::namespace(namespace);
            let matches = |row: &Row| row.cells.iter().any(|cell| self.is_wanted(cell));
            let is_wanted = self.is_wanted(&name);
            let rows: Vec<Row> = rows.into_iter().filter(|row| is_wanted || matches(row)).collect();
            if rows.is_empty() && !(is_wanted && (namespace.is_own || !self.filter.is_empty())) {
                continue;
            }
            let mut cells = <[String; COLUMNS]>::default();
            cells[0] = name;
            self.tree.push(Row { is_namespace: true, is_up: true, cells });
            self.tree.extend(rows);
        }
        self.chosen = self.chosen.min(self.tree.len().saturating_sub(1));
    }

    fn is_wanted(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.filter.to_lowercase())
    }

    pub(super) fn note(&mut self, changes: Vec<Change>) {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let of_day = seconds % 86_400;
        let clock = format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
        self.log.extend(changes.into_iter().map(|change| (clock.clone(), change)));
        while self.log.len() > KEPT {
            self.log.pop_front();
        }
    }

    /// Whether the key says that it is enough.
    pub(super) fn press(&mut self, key: Key) -> bool {
        if self.is_typing {
            match key {
                Key::Interrupt => return true,
                Key::Enter => self.is_typing = false,
                Key::Escape => {
                    self.is_typing = false;
                    self.filter.clear();
                }
                Key::Backspace => {
                    self.filter.pop();
                }
                Key::Char(letter) => self.filter.push(letter),
                Key::Up | Key::Down | Key::PageUp | Key::PageDown | Key::Home | Key::End => {}
            }
            return false;
        }
        let last = self.tree.len().saturating_sub(1);
        match key {
            Key::Char('q') | Key::Interrupt => return true,
            Key::Char('p') => self.is_paused = !self.is_paused,
            Key::Char('/') => self.is_typing = true,
            Key::Escape => self.filter.clear(),
            Key::Up => self.chosen = self.chosen.saturating_sub(1),
            Key::Down => self.chosen = (self.chosen + 1).min(last),
            Key::PageUp => self.chosen = self.chosen.saturating_sub(10),
            Key::PageDown => self.chosen = (self.chosen + 10).min(last),
            Key::Home => self.chosen = 0,
            Key::End => self.chosen = last,
            Key::Char(_) | Key::Enter | Key::Backspace => {}
        }
        false
    }

    pub(super) fn lines(&mut self, size: Size) -> Vec<Line> {
        let changes = MOST_CHANGES.min(size.rows / 3);
        let rows = size.rows.saturating_sub(changes + 3);
        // The chosen row stays on the screen.
        self.top = self.top.min(self.chosen);
        self.top = self.top.max((self.chosen + 1).saturating_sub(rows));
        let mut lines = vec![Line::of(Style::Bar, self.title())];
        let widths = self.widths(size.columns);
        for at in self.top..self.top + rows {
            let row = self.tree.get(at);
            lines.push(row.map_or_else(Line::default, |row| row.line(&widths, at == self.chosen)));
        }
        lines.push(Line::of(Style::Bar, " changes"));
        let newest = self.log.iter().rev().take(changes).collect::<Vec<_>>();
        lines.extend(newest.iter().rev().map(|(clock, change)| noted(clock, change)));
        lines.resize(size.rows.saturating_sub(1), Line::default());
        lines.push(self.footer());
        lines
    }

    fn title(&self) -> String {
        let namespaces = self.tree.iter().filter(|row| row.is_namespace).count();
        let links = self.tree.len() - namespaces;
        let pause = if self.is_paused { "  PAUSED" } else { "" };
        let filter = match self.filter.as_str() {
            "" => String::new(),
            filter => format!("  only {filter:?}"),
        };
        format!(" ropewalk watch  {namespaces} namespaces, {links} links{filter}{pause}")
    }

    fn footer(&self) -> Line {
        if self.is_typing {
            return Line::of(
                Style::Bold,
                format!(" /{}_   Enter keeps it, Esc clears it", self.filter),
            );
        }
        Line::of(Style::Dim, " q quit   ↑↓ move   / filter   p pause")
    }

    /// How wide the columns are; what is shown of the last is what is left.
    fn widths(&self, columns: usize) -> [usize; COLUMNS] {
        let mut widths = [0; COLUMNS];
        for row in self.tree.iter().filter(|row| !row.is_namespace) {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = cell.chars().count().max(*width).min(columns / 3);
            }
        }
        widths
    }
}

fn row(
    graph: &Graph<'_>,
    namespace: &Namespace,
    (at, link): (LinkAt, &Link),
    rates: &BTreeMap<LinkId, Rate>,
) -> Row {
    let far = graph.peer(at);
    let what = match far.and_then(|far| Some((graph.link(far)?, graph.namespace(far)?))) {
        Some((link, other)) if other.identity != namespace.identity => {
            format!("⇄ {} in {}", link.name, other.name())
        }
        Some((link, _)) => format!("⇄ {}", link.name),
        None => words::kind(link),
    };
    let master = link.master.and_then(|index| graph.link(LinkAt { index, ..at }));
    let addresses = namespace.content().map(|content| words::addresses(content, link));
    let rate = rates.get(&(namespace.identity.inode, link.index)).map(|rate| {
        let shown = |bytes: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
            words::amount(bytes as u64)
        };
        format!("↓ {}/s  ↑ {}/s", shown(rate.rx), shown(rate.tx))
    });
    let cells = [
        link.name.clone(),
        what,
        words::state(link).into(),
        rate.unwrap_or_default(),
        addresses.unwrap_or_default().join(" "),
        master.map(|master| format!("in {}", master.name)).unwrap_or_default(),
    ];
    Row { is_namespace: false, is_up: words::state(link) == "up", cells }
}

impl Row {
    fn line(&self, widths: &[usize; COLUMNS], is_chosen: bool) -> Line {
        if self.is_namespace {
            let style = if is_chosen { Style::Chosen } else { Style::Bold };
            return Line::of(style, self.cells[0].clone());
        }
        let ordinary = if is_chosen { Style::Chosen } else { Style::Plain };
        let state = match self.is_up {
            _ if is_chosen => Style::Chosen,
            true => Style::Good,
            false => Style::Bad,
        };
        let mut pieces = vec![(ordinary, "  ".to_owned())];
        for (column, (cell, width)) in self.cells.iter().zip(widths).enumerate() {
            let style = if column == 2 { state } else { ordinary };
            let cell: String = cell.chars().take(*width).collect();
            if *width > 0 {
                pieces.push((style, format!("{cell:width$}  ")));
            }
        }
        Line(pieces)
    }
}

fn noted(clock: &str, change: &Change) -> Line {
    let (style, sign) = match change.act {
        Act::Added => (Style::Good, "+"),
        Act::Removed => (Style::Bad, "-"),
        Act::Changed => (Style::Plain, "~"),
    };
    let text = format!("{sign} {} {}", change.kind.name(), change.what);
    Line(vec![(Style::Dim, format!(" {clock}  {}  ", change.place)), (style, text)])
}
