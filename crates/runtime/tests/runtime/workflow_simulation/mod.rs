//! Deterministic simulation of executions: definitions drawn from a seed, a process that dies between any two entries,
//! and the check that output and each branch's sequence of events are those of the undisturbed execution, and that no
//! task had its effect more often than its Retry permits.
//!
//! `BEDPLATE_SIM_RUNS` says how many runs (2,000), `BEDPLATE_SIM_SEED` where the seeds begin.

mod definition;
mod lines;
mod world;

use bedplate_testkit::sim::{Crash, Moment};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use world::{Outcome, World};

/// How many runs are driven when nobody says otherwise.
const RUNS: u64 = 2_000;

#[derive(Clone, Debug, Default)]
struct Totals {
    worlds: u64,
    runs: u64,
    crashes: u64,
    events: u64,
    permitted: u64,
    doubled: u64,
    differences: Vec<String>,
}

#[test]
fn workflow_simulation_ends_as_undisturbed_and_doubles_nothing() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (runs, first) = (number("BEDPLATE_SIM_RUNS", RUNS), number("BEDPLATE_SIM_SEED", 0));
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<Totals> = std::thread::scope(|scope| {
        let worker = || {
            let mut totals = Totals::default();
            while done.load(Relaxed) < runs && totals.differences.is_empty() {
                let before = totals.runs;
                every_crash(next.fetch_add(1, Relaxed), &mut totals);
                done.fetch_add(totals.runs - before, Relaxed);
            }
            totals
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a simulation does not panic")).collect()
    });
    let mut all = Totals::default();
    for part in parts {
        all.worlds += part.worlds;
        all.runs += part.runs;
        all.crashes += part.crashes;
        all.events += part.events;
        all.permitted += part.permitted;
        all.doubled += part.doubled;
        all.differences.extend(part.differences);
    }
    let Totals { worlds, runs, crashes, events, permitted, doubled, differences } = all;
    println!(
        "workflow simulation: {runs} runs of {worlds} definitions, {events} events, {crashes} crashes, {permitted} \
         repetitions that a Retry permitted, differences {}, task effects doubled {doubled}",
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(3)].join("\n\n"));
    assert_eq!(doubled, 0);
    assert!(crashes > 0, "a simulation without a crash shows nothing");
}

/// Drives the execution of `seed` undisturbed, and then with a crash at each of its appends.
fn every_crash(seed: u64, totals: &mut Totals) {
    totals.worlds += 1;
    let undisturbed = World::new(seed, Vec::new()).run();
    let appends = undisturbed.appends;
    count(totals, &undisturbed);
    if let Some(problem) = &undisturbed.problem {
        totals.differences.push(format!("seed {seed}, undisturbed: {problem}"));
        return;
    }
    for append in 1..=appends {
        let moment = if (seed + append).is_multiple_of(2) { Moment::Before } else { Moment::After };
        let mut crashes = vec![Crash { append, moment }];
        if seed.is_multiple_of(3) {
            // The recovered process dies too, soon after.
            crashes.push(Crash { append: append + 1 + seed % 4, moment: Moment::After });
        }
        let disturbed = World::new(seed, crashes.clone()).run();
        count(totals, &disturbed);
        let problem = disturbed.problem.clone().or_else(|| undisturbed.difference(&disturbed));
        if let Some(problem) = problem {
            totals.differences.push(format!(
                "seed {seed}, {crashes:?}: {problem}\n{}",
                serde_json::to_string_pretty(&disturbed.definition).unwrap_or_default()
            ));
            return;
        }
    }
}

fn count(totals: &mut Totals, outcome: &Outcome) {
    totals.runs += 1;
    totals.crashes += outcome.crashes;
    totals.events += outcome.events;
    totals.permitted += outcome.permitted;
    totals.doubled += outcome.doubled;
}

#[test]
fn workflow_simulation_of_one_seed_is_the_same_every_time() {
    let run = || World::new(11, vec![Crash { append: 3, moment: Moment::After }]).run();
    let (one, other) = (run(), run());
    assert_eq!((one.lines, one.output, one.appends), (other.lines, other.output, other.appends));
}

#[test]
fn a_crash_between_any_two_commits_of_a_distributed_map_loses_no_child_and_doubles_none() {
    const ITEMS: u64 = 300;
    let world = |seed, crashes| World::with(seed, crashes, definition::distributed(), definition::items(ITEMS)).run();
    let undisturbed = world(1, Vec::new());
    assert_eq!(undisturbed.problem, None);
    assert_eq!(undisturbed.children.len() as u64, ITEMS);
    assert!(undisturbed.appends < ITEMS / 4, "{} commits: most children share one", undisturbed.appends);
    for append in 1..=undisturbed.appends {
        for moment in [Moment::Before, Moment::After] {
            let again = Crash { append: append + 1 + append % 3, moment: Moment::After };
            let disturbed = world(append, vec![Crash { append, moment }, again]);
            let difference = disturbed.problem.clone().or_else(|| undisturbed.difference(&disturbed));
            assert_eq!(difference, None, "a crash {moment:?} append {append}");
            assert_eq!((disturbed.doubled, disturbed.children.len() as u64), (0, ITEMS));
            assert!(disturbed.crashes > 0);
        }
    }
}
