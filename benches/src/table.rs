//! The report for people.

use std::fmt::Write;

use crate::{
    books::Books,
    burst::VERBS,
    call::Verb,
    contestant::FLOOR,
    counts::Counts,
    report::{PAIRS, Report, Start, cpu, machine, ratio, wall},
    rounds::Measured,
    start::Memory,
    statistics::Summary,
    targets::{self, Limit},
    traffic::QUANTITIES,
};

/// All tables, with what they mean.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = heading(report, &mut text);
    let _ = starts(report, &mut text);
    let _ = costs(report, &mut text);
    let _ = bursts(report, &mut text);
    let _ = traffic(report, &mut text);
    let _ = options(report, &mut text);
    text.extend(report.books.iter().map(Books::text));
    let _ = pods(report, &mut text);
    let _ = counts(report, &mut text);
    let _ = targets(report, &mut text);
    text
}

type Written = std::fmt::Result;

fn heading(report: &Report, text: &mut String) -> Written {
    let machine = machine();
    let word = |key: &str| machine[key].as_str().unwrap_or_default().to_owned();
    let processors = &machine["processors"];
    writeln!(text, "{processors} x {}, Linux {}", word("processor"), word("kernel"))?;
    if let Some(error) = &report.priority {
        writeln!(text, "NOTE: programs did not go before all others on this machine: {error}")?;
    }
    let noise = report.noise();
    if noise.count > 0 {
        writeln!(
            text,
            "noise: the same work each round took {:.2} ms, the middle half of rounds {:.2} to \
             {:.2}, the worst in a hundred {:.2}",
            noise.median, noise.low, noise.high, noise.worst
        )?;
    }
    Ok(())
}

fn starts(report: &Report, text: &mut String) -> Written {
    if report.starts.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nBefore anything is done")?;
    let heads = ["VERSION, ms", "peak KiB, ADD CHECK DEL", "own KiB", "size, KiB"];
    let [version, peak, own, size] = heads;
    writeln!(text, "{:20} {version:>22} {peak:>24} {own:>18} {size:>10}", "")?;
    for start in &report.starts {
        let list = |of: fn(&Memory) -> u64| {
            start.memory.iter().map(|memory| of(memory).to_string()).collect::<Vec<_>>().join(" ")
        };
        let (peak, own) = (list(|memory| memory.peak_kib), list(|memory| memory.own_kib));
        let (name, version) = (start.contestant, spread(&start.version()));
        writeln!(text, "{name:20} {version:>22} {peak:>24} {own:>18} {:>10}", start.kib())?;
    }
    for pair in PAIRS {
        let find = |name| report.starts.iter().find(|start| start.contestant == name);
        let Some((first, second)) = find(pair.0).zip(find(pair.1)) else { continue };
        let version = times(&ratio(&first.versions, &second.versions, wall));
        let part = |of: fn(&Start) -> f64| format!("{:.1}x", of(first) / of(second));
        let [peak, own, size] = [Start::peak, Start::own, Start::kib].map(part);
        let label = format!("{}/{}", pair.0, pair.1);
        writeln!(text, "{label:20} {version:>22} {peak:>24} {own:>18} {size:>10}")?;
    }
    Ok(())
}

fn costs(report: &Report, text: &mut String) -> Written {
    if !report.measured.iter().any(Measured::is_timed) {
        return Ok(());
    }
    let names: Vec<&str> = report.names().collect();
    writeln!(text, "\nOne container, ms: median (middle half), processor time")?;
    write!(text, "{:27}", "list, existing, verb")?;
    for name in &names {
        write!(text, " {name:>28}")?;
    }
    for (first, second) in pairs(&names) {
        write!(text, " {:>18}", format!("{first}/{second}"))?;
    }
    writeln!(text)?;
    for measured in &report.measured {
        for verb in Verb::ALL {
            let scenario = measured.scenario.name;
            write!(text, "{scenario:12} {:>8} {:5}", measured.existing, verb.name())?;
            for name in &names {
                let cell = measured.wall(name, verb).zip(measured.cpu(name, verb));
                let cell = cell.map(|(wall, cpu)| format!("{} {:>6.2}", spread(&wall), cpu.median));
                write!(text, " {:>28}", cell.unwrap_or_default())?;
            }
            for pair in pairs(&names) {
                let wall = measured.ratio(pair, verb, wall).map(|ratio| times(&ratio));
                let cpu = measured.ratio(pair, verb, cpu).map(|ratio| times(&ratio));
                let cell = format!("{} {:>7}", wall.unwrap_or_default(), cpu.unwrap_or_default());
                write!(text, " {cell:>18}")?;
            }
            writeln!(text)?;
        }
    }
    writeln!(text, "ratios: round by round, by the clock and of processor time")?;
    for measured in &report.measured {
        for (name, series) in &measured.series {
            let Some(complaint) = &series.complaint else { continue };
            let (scenario, existing) = (measured.scenario.name, measured.existing);
            writeln!(text, "CHECK of {name} fails, {scenario}, {existing} existing: {complaint}")?;
        }
    }
    Ok(())
}

/// The pairs both of whom take part.
fn pairs<'a>(names: &'a [&str]) -> impl Iterator<Item = (&'static str, &'static str)> + 'a {
    PAIRS.into_iter().filter(|(first, second)| names.contains(first) && names.contains(second))
}

fn bursts(report: &Report, text: &mut String) -> Written {
    if report.bursts.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nMany at once, with masquerading: in a second; ms of one, median and p99")?;
    write!(text, "{:14}", "at once, verb")?;
    report.names().try_for_each(|name| write!(text, " {name:>36}"))?;
    writeln!(text)?;
    for bursts in &report.bursts {
        for (index, verb) in VERBS.into_iter().enumerate() {
            write!(text, "{:>8} {:5}", bursts.size, verb.name())?;
            for (_, of) in &bursts.of {
                let burst = &of[index];
                let latency = burst.latency();
                let mut cell = format!(
                    "{:.0}/s {:.0} {:.0}",
                    burst.rate().median,
                    latency.median,
                    latency.worst
                );
                if burst.errors > 0 {
                    write!(cell, " {} FAILED", burst.errors)?;
                }
                write!(text, " {cell:>36}")?;
            }
            writeln!(text)?;
        }
    }
    Ok(())
}

fn traffic(report: &Report, text: &mut String) -> Written {
    if report.traffic.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nTCP, both ends on one processor: median (middle half)")?;
    write!(text, "{:43}", "way, existing, quantity")?;
    report.names().try_for_each(|name| write!(text, " {name:>24}"))?;
    writeln!(text)?;
    for traffic in &report.traffic {
        for (quantity, name) in QUANTITIES.iter().enumerate() {
            write!(text, "{:18} {:>8} {name:15}", traffic.way, traffic.existing)?;
            for contestant in 0..traffic.of.len() {
                write!(text, " {:>24}", spread(&traffic.summary(contestant, quantity)))?;
            }
            writeln!(text)?;
        }
    }
    Ok(())
}

fn options(report: &Report, text: &mut String) -> Written {
    for options in &report.options {
        writeln!(text, "\nOptions of bridge, TCP between containers, both on one processor")?;
        write!(text, "{:18}", "")?;
        options.of.iter().try_for_each(|(name, _)| write!(text, " {name:>24}"))?;
        writeln!(text)?;
        for (quantity, name) in QUANTITIES.iter().enumerate() {
            write!(text, "{name:18}")?;
            for option in 0..options.of.len() {
                write!(text, " {:>24}", spread(&options.summary(option, quantity)))?;
            }
            writeln!(text)?;
        }
    }
    Ok(())
}

fn pods(report: &Report, text: &mut String) -> Written {
    if report.pods.is_empty() {
        return Ok(());
    }
    let name = |name| if name == FLOOR { "no network" } else { name };
    writeln!(text, "\nWhole pods with one port, ms: median (middle half)")?;
    write!(text, "{:20}", "")?;
    report.names().try_for_each(|of| write!(text, " {:>26}", name(of)))?;
    let names: Vec<&str> = report.names().collect();
    for (first, second) in pairs(&names) {
        write!(text, " {:>20}", format!("{first}/{}", name(second)))?;
    }
    writeln!(text)?;
    for pods in &report.pods {
        write!(text, "{:20}", pods.what)?;
        for (_, costs) in &pods.of {
            write!(text, " {:>26}", spread(&Summary::of(costs.iter().map(wall))))?;
        }
        for (first, second) in pairs(&names) {
            let find = |name| pods.of.iter().find(|(contestant, _)| *contestant == name);
            let Some(((_, first), (_, second))) = find(first).zip(find(second)) else { continue };
            write!(text, " {:>20}", times(&ratio(first, second, wall)))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn counts(report: &Report, text: &mut String) -> Written {
    if report.measured.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nCounted: programs started, children, system calls, netlink sends")?;
    write!(text, "{:27}", "list, existing, verb")?;
    report.names().try_for_each(|name| write!(text, " {name:>22}"))?;
    writeln!(text)?;
    for measured in &report.measured {
        for (index, verb) in Verb::ALL.into_iter().enumerate() {
            let scenario = measured.scenario.name;
            write!(text, "{scenario:12} {:>8} {:5}", measured.existing, verb.name())?;
            for (_, series) in &measured.series {
                let Counts { programs, children, calls, netlink } = series.counts[index];
                let cell = format!("{programs:>3} {children:>4} {calls:>6} {netlink:>5}");
                write!(text, " {cell:>22}")?;
            }
            writeln!(text)?;
        }
    }
    Ok(())
}

fn targets(report: &Report, text: &mut String) -> Written {
    let targets = targets::of(report);
    if targets.is_empty() {
        return Ok(());
    }
    let missed = targets.iter().filter(|target| !target.is_met()).count();
    writeln!(text, "\nTargets: {} of {} are met", targets.len() - missed, targets.len())?;
    for target in &targets {
        let word = if target.is_met() { "ok" } else { "MISSED" };
        let limit = match target.wanted {
            Limit::Least(least) => format!("at least {least}"),
            Limit::Most(most) => format!("at most {most}"),
        };
        writeln!(text, "{word:6} {:>8.2}, {limit:14} {}", target.measured, target.what)?;
    }
    Ok(())
}

/// A median and the middle half.
fn spread(summary: &Summary) -> String {
    format!("{:.2} ({:.2}-{:.2})", summary.median, summary.low, summary.high)
}

fn times(ratio: &Summary) -> String {
    let digits = usize::from(ratio.median < 10.0) + usize::from(ratio.median < 3.0);
    format!("{:.digits$}x", ratio.median)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_row_has_costs_spread_and_ratios() {
        let text = super::text(&crate::report::tests::sample());
        let row = "masquerade          1 ADD     15.00 (15.00-15.00)  30.00      \
                   1.00 (1.00-1.00)   2.00      0.80 (0.80-0.80)   1.60        15x     15x      \
                   1.25x   1.25x";
        assert!(text.lines().any(|line| line == row), "{text}");
        assert!(!text.contains("NOTE"), "{text}");
    }
}
