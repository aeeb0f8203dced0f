//! The network as a picture: a panel for each namespace with links of its own, bridges as bars,
//! and below each what hangs on it. Colours follow the reader's light or dark scheme.
//!
//! It must never need a script or anything from elsewhere.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use super::{
    outline::{Node, Outline},
    words::{self, put},
};
use crate::{
    Graph, LinkAt,
    model::{Host, Namespace},
};

/// Lengths in pixels.
const WIDTH: u32 = 1280;
const MARGIN: u32 = 20;
const GAP: u32 = 14;
const ROW_GAP: u32 = 22;
const LINE: u32 = 16;
const CARD: u32 = 190;
const TITLE: u32 = 34;

/// About how wide a letter is.
const LETTER: u32 = 7;

/// Plain rules, because not every viewer knows variables.
const STYLE: &str = "\
text{font:12px ui-sans-serif,system-ui,sans-serif;fill:#1c2530}.page{fill:#fff}.dim{fill:#5b6878}\
.title{font-size:15px;font-weight:600}.name{font-weight:600}.panel{fill:#f5f7fa;stroke:#c9d1da}\
.card{fill:#fff;stroke:#8a97a8}.bar{fill:#2f6db5}.onbar{fill:#fff}\
.down{stroke:#b3452f;stroke-dasharray:4 3}.edge,.far{stroke:#8a97a8;fill:none;stroke-width:1.5}\
.far{stroke:#2f6db5;stroke-dasharray:6 3}\n\
@media(prefers-color-scheme:dark){text{fill:#e4eaf1}.page{fill:#11161d}.dim{fill:#9cabbb}\
.panel{fill:#19212b;stroke:#2d3947}.card{fill:#222d39;stroke:#5d6d80}.bar{fill:#2f6db5}\
.onbar{fill:#fff}.down{stroke:#f08a70}.edge{stroke:#5d6d80}.far{stroke:#6ba6e8}}";

/// A link with its size, and those below it at their places relative to its own.
struct Block {
    at: LinkAt,
    far: Option<LinkAt>,
    lines: Vec<String>,
    is_bar: bool,
    is_up: bool,
    width: u32,
    height: u32,
    head: u32,
    below: Vec<(u32, u32, Block)>,
}

/// Draws a host's network.
pub fn svg(host: &Host) -> String {
    let graph = Graph::of(host);
    let outline = Outline::of(&graph);
    let mut picture = Picture::default();
    let mut top = MARGIN;
    for section in &outline.sections {
        let Some(namespace) = host.namespaces.get(section.namespace) else { continue };
        let blocks = section.nodes.iter().filter_map(|node| block(&graph, node, section.namespace));
        let inside = WIDTH - 4 * MARGIN;
        let (placed, width, height) = flow(blocks.collect(), inside);
        let panel = (width.max(inside) + 2 * MARGIN, height + TITLE + MARGIN);
        picture.panel((MARGIN, top), panel, &words::namespace(namespace));
        for (x, y, block) in &placed {
            picture.block((2 * MARGIN + x, top + TITLE + y), block);
        }
        picture.width = picture.width.max(panel.0 + 2 * MARGIN);
        top += panel.1 + MARGIN;
    }
    for line in notes(host, &outline) {
        picture.text((MARGIN, top + LINE), "dim", &line);
        top += LINE + 4;
    }
    picture.far_edges(&graph);
    picture.finish(top + MARGIN)
}

fn notes(host: &Host, outline: &Outline) -> Vec<String> {
    let name = |&at: &usize| host.namespaces.get(at).map(Namespace::name);
    let mut notes = Vec::new();
    if let Some(count) = words::count(outline.idle.len(), "namespace", "namespaces") {
        notes.push(format!("{count} with nothing but loopback"));
    }
    for name in outline.unreadable.iter().filter_map(name) {
        notes.push(format!("{name} could not be read"));
    }
    notes
}

fn block(graph: &Graph<'_>, node: &Node, home: usize) -> Option<Block> {
    let link = graph.link(node.at)?;
    let far = node.far.filter(|far| far.namespace != home);
    // What hangs in another namespace is told by what it is there.
    let shown = far.or((node.at.namespace != home).then_some(node.at)).unwrap_or(node.at);
    let shown_link = graph.link(shown)?;
    let content = graph.namespace(shown)?.content()?;
    let mut lines = Vec::new();
    if shown.namespace == home {
        let end = node.far.and_then(|far| graph.link(far));
        let kind = end.map_or_else(|| words::kind(link), |end| format!("⇄ {}", end.name));
        lines.push(link.name.clone());
        lines.push(format!("{kind}, {}, mtu {}", words::state(link), link.mtu));
    } else {
        let namespace = graph.namespace(shown)?;
        lines.push(namespace.name());
        lines.push(if far.is_some() {
            format!("{} ⇄ {}", shown_link.name, link.name)
        } else {
            format!("{} {}", shown_link.name, words::kind(shown_link))
        });
    }
    lines.extend(words::addresses(content, shown_link));
    if far.is_some() {
        let near = graph.namespace(node.at)?.content()?;
        let near = words::addresses(near, link);
        lines.extend(near.iter().map(|address| format!("{}: {address}", link.name)));
    }
    lines.extend(words::traffic(shown_link));
    let is_bar = !graph.ports(node.at).is_empty() || link.is("bridge");
    let children = node.children.iter().filter_map(|child| block(graph, child, home)).collect();
    let lines = if is_bar { Vec::from([lines.join("   ")]) } else { lines };
    Some(sized(node, lines, is_bar, link.is_up() && shown_link.is_up(), children))
}

fn sized(node: &Node, lines: Vec<String>, is_bar: bool, is_up: bool, below: Vec<Block>) -> Block {
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let own = (u32::try_from(longest).unwrap_or(0) * LETTER + 20).max(CARD);
    let count = u32::try_from(lines.len()).unwrap_or(0);
    let head = count * LINE + 12;
    let (below, width, height) = flow(below, WIDTH - 6 * MARGIN);
    let height = if below.is_empty() { head } else { head + ROW_GAP + height };
    let width = width.max(own);
    Block { at: node.at, far: node.far, lines, is_bar, is_up, width, height, head, below }
}

/// Places blocks in rows of at most this width; answers the size of all.
fn flow(blocks: Vec<Block>, widest: u32) -> (Vec<(u32, u32, Block)>, u32, u32) {
    let (mut x, mut y, mut row, mut width) = (0, 0, 0, 0);
    let mut placed = Vec::new();
    for block in blocks {
        if x > 0 && x + block.width > widest {
            (x, y, row) = (0, y + row + ROW_GAP, 0);
        }
        let (block_width, block_height) = (block.width, block.height);
        placed.push((x, y, block));
        width = width.max(x + block_width);
        x += block_width + GAP;
        row = row.max(block_height);
    }
    (placed, width, y + row)
}

/// A picture under construction.
#[derive(Default)]
struct Picture {
    panels: String,
    far: String,
    cards: String,
    width: u32,
    places: BTreeMap<LinkAt, (u32, u32)>,
}

impl Picture {
    fn panel(&mut self, (x, y): (u32, u32), (width, height): (u32, u32), title: &str) {
        self.panels.push_str(&rect("panel", (x, y), (width, height), 10));
        self.text((x + MARGIN, y + 22), "title", title);
    }

    fn block(&mut self, (x, y): (u32, u32), block: &Block) {
        self.edges((x, y), block);
        for (dx, dy, below) in &block.below {
            self.block((x + dx, y + block.head + ROW_GAP + dy), below);
        }
        let class = match (block.is_bar, block.is_up) {
            (true, true) => "bar",
            (true, false) => "bar down",
            (false, true) => "card",
            (false, false) => "card down",
        };
        self.cards.push_str(&rect(class, (x, y), (block.width, block.head), 6));
        for (position, line) in block.lines.iter().enumerate() {
            let class = match (block.is_bar, position) {
                (true, _) => "onbar name",
                (false, 0) => "name",
                (false, _) => "dim",
            };
            let line_y = y + 18 + u32::try_from(position).unwrap_or(0) * LINE;
            self.text((x + 10, line_y), class, line);
        }
        self.places.insert(block.at, (x + block.width / 2, y));
        if let Some(far) = block.far {
            self.places.entry(far).or_insert((x + block.width / 2, y + block.head));
        }
    }

    /// From the lower edge of a block to each one below it: down in the gap between rows.
    fn edges(&mut self, (x, y): (u32, u32), block: &Block) {
        let bottom = y + block.head;
        let spine = x + 5;
        for (dx, dy, below) in &block.below {
            let top = bottom + ROW_GAP + dy;
            let middle = x + dx + below.width.min(CARD) / 2;
            let path = if *dy == 0 {
                format!("M{middle} {bottom}V{top}")
            } else {
                format!("M{spine} {bottom}V{turn}H{middle}V{top}", turn = top - ROW_GAP / 2)
            };
            put(&mut self.cards, format_args!("<path class=\"edge\" d=\"{path}\"/>"));
        }
    }

    /// Between panels: ends of pairs, and what stands on links elsewhere.
    fn far_edges(&mut self, graph: &Graph<'_>) {
        for (one, _, other) in graph.relations() {
            let places = (self.places.get(&one), self.places.get(&other));
            let (Some(&(x1, y1)), Some(&(x2, y2))) = places else { continue };
            let is_near = y1.abs_diff(y2) < 3 * TITLE || one.namespace == other.namespace;
            if is_near {
                continue;
            }
            let middle = u32::midpoint(y1, y2);
            let path = format!("M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}");
            put(&mut self.far, format_args!("<path class=\"far\" d=\"{path}\"/>"));
        }
    }

    fn text(&mut self, (x, y): (u32, u32), class: &str, text: &str) {
        let text = escaped(text);
        let place = format_args!("class=\"{class}\" x=\"{x}\" y=\"{y}\"");
        put(&mut self.cards, format_args!("<text {place}>{text}</text>\n"));
    }

    fn finish(self, height: u32) -> String {
        let width = self.width.max(WIDTH);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n{}{}{}</svg>\n",
            self.panels, self.far, self.cards
        )
    }
}

fn rect(class: &str, (x, y): (u32, u32), (width, height): (u32, u32), round: u32) -> String {
    format!(
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
         rx=\"{round}\"/>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
