//! The report as a picture: what verbs cost against the number of containers that exist, a row for
//! each list of plugins that was measured with several numbers.
//!
//! It must be readable on its own, on a light page and on a dark one.

use std::fmt::Write;

use crate::{
    call::Verb,
    contestant::{FLOOR, OURS, REFERENCE},
    report::{Report, machine},
    rounds::Measured,
    scenario::ALL,
    statistics::Summary,
};

/// Sizes in the units of the picture. A row is three panels, one for each verb.
const PANEL: (f64, f64) = (210.0, 190.0);
const STEP: f64 = 360.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 70.0;
const ROW: f64 = 300.0;
const WIDTH: f64 = 3.0 * STEP + 10.0;
/// The least distance of two labels.
const LINE: f64 = 15.0;

/// One panel: where it is, and what its axes span.
struct Panel {
    left: f64,
    top: f64,
    most_existing: f64,
    /// Powers of ten, in milliseconds.
    decades: (f64, f64),
}

/// A contestant's line.
struct Line {
    name: &'static str,
    /// How many exist, and what the verb takes.
    points: Vec<(f64, Summary)>,
}

/// Draws the report.
pub fn draw(report: &Report) -> String {
    let rows: Vec<Vec<&Measured>> = ALL
        .iter()
        .map(|scenario| {
            let of = report.measured.iter();
            of.filter(|measured| measured.scenario.name == scenario.name).collect()
        })
        .filter(|row: &Vec<_>| row.len() > 1)
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "there are few rows")]
    let height = rows.len() as f64 * ROW + 40.0;
    let mut svg = String::new();
    // Writing into a string cannot fail.
    let _ = writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12" fill="#333">
<rect width="{WIDTH}" height="{height}" fill="#fff"/>"##
    );
    let names: Vec<&'static str> = report.names().collect();
    let mut top = 0.0;
    for row in &rows {
        let _ = draw_row(&mut svg, row, &names, top);
        top += ROW;
    }
    let machine = machine();
    let word = |key: &str| machine[key].as_str().unwrap_or_default().to_owned();
    let rounds = rows.first().and_then(|row| row.first()).map_or(0, |first| first.work.len());
    let _ = writeln!(
        svg,
        r##"<text x="{LEFT}" y="{}" font-size="11" fill="#777">Median and middle half of {rounds} rounds, in turn on one machine: {} x {}, Linux {}</text>
</svg>"##,
        top + 20.0,
        machine["processors"],
        escaped(&word("processor")),
        escaped(&word("kernel")),
    );
    svg
}

fn draw_row(
    svg: &mut String,
    row: &[&Measured],
    names: &[&'static str],
    top: f64,
) -> std::fmt::Result {
    let scenario = row[0].scenario;
    writeln!(
        svg,
        r#"<text x="{LEFT}" y="{}" font-size="15" font-weight="bold">{}: {}</text>"#,
        top + 28.0,
        scenario.name,
        scenario.about
    )?;
    let lines = |verb| names.iter().map(|name| line(row, name, verb)).collect::<Vec<Line>>();
    let all: Vec<Line> = Verb::ALL.into_iter().flat_map(lines).collect();
    let costs = all.iter().flat_map(|line| &line.points).map(|(_, cost)| cost);
    let least = costs.clone().map(|cost| cost.low).fold(f64::MAX, f64::min);
    let most = costs.map(|cost| cost.high).fold(0.0, f64::max);
    let mut left = LEFT;
    for verb in Verb::ALL {
        let panel = Panel {
            left,
            top: top + TOP,
            most_existing: row.iter().map(|of| existing(of)).fold(0.0, f64::max),
            decades: (least.log10().floor(), most.log10().ceil()),
        };
        panel.draw_axes(svg, verb.name(), row)?;
        panel.draw_lines(svg, &lines(verb))?;
        left += STEP;
    }
    Ok(())
}

fn existing(measured: &Measured) -> f64 {
    f64::from(measured.existing)
}

fn line(row: &[&Measured], name: &'static str, verb: Verb) -> Line {
    let points = row.iter().filter_map(|of| Some((existing(of), of.wall(name, verb)?)));
    Line { name, points: points.collect() }
}

impl Panel {
    fn x(&self, existing: f64) -> f64 {
        self.left + PANEL.0 * existing / self.most_existing
    }

    fn y(&self, ms: f64) -> f64 {
        let (low, high) = self.decades;
        self.top + PANEL.1 * (high - ms.log10()) / (high - low)
    }

    fn draw_axes(&self, svg: &mut String, title: &str, row: &[&Measured]) -> std::fmt::Result {
        let (left, right, bottom) = (self.left, self.left + PANEL.0, self.top + PANEL.1);
        writeln!(
            svg,
            r#"<text x="{left}" y="{}" font-size="13" font-weight="bold">{title}</text>"#,
            self.top - 12.0
        )?;
        let mut decade = self.decades.0;
        while decade <= self.decades.1 {
            let ms = 10_f64.powf(decade);
            let y = self.y(ms);
            writeln!(
                svg,
                r##"<line x1="{left}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="#ddd"/>
<text x="{}" y="{:.1}" text-anchor="end">{ms} ms</text>"##,
                left - 6.0,
                y + 4.0
            )?;
            decade += 1.0;
        }
        for of in row {
            let x = self.x(existing(of));
            writeln!(
                svg,
                r##"<line x1="{x:.1}" y1="{bottom}" x2="{x:.1}" y2="{}" stroke="#999"/>
<text x="{x:.1}" y="{}" text-anchor="middle">{}</text>"##,
                bottom + 4.0,
                bottom + 17.0,
                of.existing
            )?;
        }
        writeln!(
            svg,
            r##"<text x="{}" y="{}" text-anchor="middle" fill="#777">existing containers</text>"##,
            left + PANEL.0 / 2.0,
            bottom + 33.0
        )
    }

    fn draw_lines(&self, svg: &mut String, lines: &[Line]) -> std::fmt::Result {
        for line in lines {
            let colour = colour(line.name);
            let corners = line.points.iter().map(|(at, cost)| (self.x(*at), self.y(cost.high)));
            let back = line.points.iter().rev().map(|(at, cost)| (self.x(*at), self.y(cost.low)));
            let band = corners.chain(back);
            let medians = line.points.iter().map(|(at, cost)| (self.x(*at), self.y(cost.median)));
            writeln!(
                svg,
                r#"<polygon points="{}" fill="{colour}" opacity="0.2"/>
<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
                list(band),
                list(medians.clone())
            )?;
            for (x, y) in medians {
                writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#)?;
            }
        }
        self.draw_labels(svg, lines)
    }

    /// Names and last values, pushed apart from the top down where they would overlap.
    fn draw_labels(&self, svg: &mut String, lines: &[Line]) -> std::fmt::Result {
        let last = |line: &Line| Some((line.name, line.points.last()?.1.median));
        let mut labels: Vec<(&str, f64)> = lines.iter().filter_map(last).collect();
        labels.sort_by(|first, second| second.1.total_cmp(&first.1));
        let mut free = f64::MIN;
        for (name, ms) in labels {
            let y = self.y(ms).max(free);
            free = y + LINE;
            let digits = usize::from(ms < 100.0) + usize::from(ms < 10.0);
            writeln!(
                svg,
                r#"<text x="{}" y="{:.1}" fill="{}">{name} {ms:.digits$}</text>"#,
                self.left + PANEL.0 + 8.0,
                y + 4.0,
                colour(name)
            )?;
        }
        Ok(())
    }
}

fn colour(name: &str) -> &'static str {
    match name {
        REFERENCE => "#b4540a",
        OURS => "#0b5fa5",
        FLOOR => "#666",
        _ => "#000",
    }
}

fn list(points: impl Iterator<Item = (f64, f64)>) -> String {
    points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_row_of_three_panels_with_a_line_for_each_contestant() {
        let svg = draw(&crate::report::tests::sample());
        assert_eq!(svg.matches("<polyline").count(), 9, "{svg}");
        assert!(svg.contains(">ropewalk 3.00</text>"), "{svg}");
        let open = svg.matches('<').count();
        assert_eq!(open, svg.matches('>').count());
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn labels_do_not_lie_on_each_other() {
        let mut report = crate::report::tests::sample();
        for measured in &mut report.measured {
            let alike = measured.series[1].1.clone();
            measured.series.iter_mut().for_each(|(_, series)| *series = alike.clone());
        }
        let svg = draw(&report);
        let place = |line: &str| line.split("y=\"").nth(1)?.split('"').next()?.parse().ok();
        let labels =
            svg.lines().filter(|line| line.contains(">floor") || line.contains(">ropewalk"));
        let places: Vec<f64> = labels.filter_map(place).collect();
        assert_eq!(places.len(), 6);
        assert!(places.chunks(2).all(|pair| (pair[0] - pair[1]).abs() >= LINE), "{places:?}");
    }
}
