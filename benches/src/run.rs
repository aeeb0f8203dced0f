//! The whole benchmark, in its order.

use crate::{
    Outcome,
    arguments::{Arguments, BURSTS, PODS, SQL, START, TRAFFIC},
    books, burst,
    console::tell,
    contestant::{Contestant, FLOOR, OURS, OURS_WITH_SQL, REFERENCE},
    failed,
    host::Machine,
    options, pods,
    report::{Bursts, Report, Start},
    rounds,
    scenario::Scenario,
    start, sys, traffic,
};

/// Measures what the arguments say. A part that fails is told, and keeps the others from nothing.
pub fn run(arguments: &Arguments) -> Outcome<Report> {
    let machine = Machine::leave_real_one()?;
    sys::adopt_orphans().map_err(failed("failed to adopt orphans"))?;
    let contestants = contestants(arguments)?;
    let mut report = Report::new(&contestants);
    report.priority = sys::go_first().err().map(|error| error.to_string());
    if arguments.has(START) {
        tell("start, memory, size");
        let starts = starts(arguments, &machine, &contestants);
        report.starts = report.kept(START, starts);
    }
    let (sizes, rounds) = (arguments.sizes(), arguments.rounds());
    for scenario in arguments.scenarios() {
        let measured = rounds::measure(&machine, scenario, &contestants, sizes, rounds);
        let measured = report.kept(scenario.name, measured);
        report.measured.extend(measured);
    }
    if arguments.has(TRAFFIC) {
        let (sizes, rounds) = arguments.traffic();
        for way in traffic::WAYS {
            let traffic = traffic::measure(&machine, way, &contestants, sizes, rounds);
            let traffic = report.kept(way.name, traffic);
            report.traffic.extend(traffic);
        }
        for ours in contestants.iter().filter(|contestant| contestant.name == OURS) {
            let options = options::measure(&machine, ours, rounds);
            report.options = report.kept("options", options);
        }
    }
    if arguments.has(SQL) {
        tell("books of addresses");
        let program = arguments.ours.with_file_name(OURS_WITH_SQL);
        let measured = Contestant::new(OURS_WITH_SQL, &program)
            .and_then(|ours| books::measure(&machine, &ours, arguments.rounds()));
        report.books = report.kept(SQL, measured);
    }
    sys::go_along().map_err(failed("failed to become an ordinary process"))?;
    if arguments.has(PODS) {
        let pods = pods::measure(&machine, &contestants, arguments.pods());
        report.pods = report.kept(PODS, pods);
    }
    if arguments.has(BURSTS) {
        let (sizes, rounds) = arguments.bursts();
        for size in sizes.iter().copied() {
            tell(&format!("bursts of {size}, {rounds} times"));
            let all = burst::measure(&machine, bursting(), &contestants, (size, rounds));
            let all = report.kept(BURSTS, all);
            if !all.is_empty() {
                report.bursts.push(Bursts { size, of: report.names().zip(all).collect() });
            }
        }
    }
    Ok(report)
}

/// What comes in bursts and what memory is measured of.
fn bursting() -> Scenario {
    Scenario::find("masquerade").unwrap_or(crate::scenario::ALL[0])
}

fn contestants(arguments: &Arguments) -> Outcome<Vec<Contestant>> {
    let mut contestants = Vec::new();
    if let Some(directory) = &arguments.reference {
        contestants.push(Contestant::new(REFERENCE, directory)?);
    }
    contestants.push(Contestant::new(OURS, &arguments.ours)?);
    contestants.push(Contestant::new(FLOOR, &arguments.floor)?);
    Ok(contestants)
}

fn starts(
    arguments: &Arguments,
    machine: &Machine,
    contestants: &[Contestant],
) -> Outcome<Vec<Start>> {
    let peak = arguments.peak.to_str().ok_or("a path is not text")?;
    let versions = start::versions(contestants, arguments.starts())?;
    let mut starts = Vec::new();
    for (contestant, versions) in contestants.iter().zip(versions) {
        let memory = start::memory(machine, bursting(), contestant, peak)?;
        let bytes = start::size(contestant)?;
        starts.push(Start { contestant: contestant.name, versions, memory, bytes });
    }
    Ok(starts)
}
