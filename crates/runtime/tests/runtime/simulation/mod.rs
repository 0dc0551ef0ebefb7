//! Deterministic simulation: randomised worlds, a process that dies at an append, recovery, and the check that nothing
//! is lost and nothing doubled, by the definitions of the design.
//!
//! A run is one world driven to its end. Worlds of one seed share what happens: first undisturbed, then with a crash at
//! each of its appends. `BEDPLATE_SIM_RUNS` says how many runs (2,000), `BEDPLATE_SIM_SEED` where the seeds begin.

mod check;
pub mod process;
mod world;

use bedplate_testkit::sim::{Crash, Moment};
use std::{
    ops::AddAssign,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use world::{Mutation, Report, World};

/// How many runs are driven when nobody says otherwise.
const RUNS: u64 = 2_000;

#[derive(Clone, Debug, Default)]
struct Totals {
    worlds: u64,
    runs: u64,
    turns: u64,
    crashes: u64,
    recoveries: u64,
    fenced: u64,
    lost: u64,
    doubled: u64,
    broken: Vec<String>,
}

impl AddAssign<Report> for Totals {
    fn add_assign(&mut self, report: Report) {
        self.runs += 1;
        self.turns += report.acknowledged;
        self.crashes += report.crashes;
        self.recoveries += report.recoveries;
        self.fenced += report.fenced;
        self.lost += report.lost.len() as u64;
        self.doubled += report.doubled.len() as u64;
        self.broken.extend(report.lost.into_iter().chain(report.doubled).chain(report.broken));
    }
}

#[test]
fn simulation_loses_nothing_and_doubles_nothing() {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (runs, first) = (number("BEDPLATE_SIM_RUNS", RUNS), number("BEDPLATE_SIM_SEED", 0));
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<Totals> = std::thread::scope(|scope| {
        let worker = || {
            let mut totals = Totals::default();
            while done.load(Relaxed) < runs && totals.broken.is_empty() {
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
        all.turns += part.turns;
        all.crashes += part.crashes;
        all.recoveries += part.recoveries;
        all.fenced += part.fenced;
        all.lost += part.lost;
        all.doubled += part.doubled;
        all.broken.extend(part.broken);
    }
    let Totals { worlds, runs, turns, crashes, recoveries, fenced, lost, doubled, broken } = all;
    println!(
        "simulation: {runs} runs of {worlds} worlds, {turns} turns acknowledged, {crashes} crashes, \
         {recoveries} recoveries, {fenced} appends fenced, lost {lost}, doubled {doubled}"
    );
    assert!(
        broken.is_empty(),
        "{} faults, the first of them:\n{}",
        broken.len(),
        broken[..broken.len().min(5)].join("\n")
    );
    assert!(crashes > 0 && recoveries > 0, "a simulation without a crash shows nothing");
}

/// Drives the world of `seed` undisturbed, and then with a crash at each of its appends.
fn every_crash(seed: u64, totals: &mut Totals) {
    totals.worlds += 1;
    let undisturbed = World::new(seed, Vec::new(), Mutation::None).run();
    let appends = undisturbed.appends;
    *totals += undisturbed;
    for append in 1..=appends {
        let moment = if (seed + append).is_multiple_of(2) { Moment::Before } else { Moment::After };
        let mut crashes = vec![Crash { append, moment }];
        if seed.is_multiple_of(3) {
            // The recovered process dies too, soon after.
            crashes.push(Crash { append: append + 1 + seed % 4, moment: Moment::After });
        }
        *totals += World::new(seed, crashes, Mutation::None).run();
        if !totals.broken.is_empty() {
            return;
        }
    }
}

#[test]
fn simulation_of_one_seed_is_the_same_every_time() {
    let run = || World::new(11, vec![Crash { append: 5, moment: Moment::After }], Mutation::None).run();
    assert_eq!(run(), run());
}

/// Drives worlds until one shows a fault of the wanted kind.
fn catches(mutation: Mutation, moment: Moment, caught: impl Fn(&Report) -> bool) -> bool {
    (0..60).any(|seed| {
        let appends = World::new(seed, Vec::new(), mutation).run().appends;
        (1..=appends).any(|append| caught(&World::new(seed, vec![Crash { append, moment }], mutation).run()))
    })
}

#[test]
fn simulation_catches_a_platform_that_repeats_what_may_not_be_repeated() {
    assert!(catches(Mutation::RepeatsAnything, Moment::After, |report| !report.doubled.is_empty()));
}

#[test]
fn simulation_catches_a_store_that_says_stored_too_early() {
    assert!(catches(Mutation::None, Moment::Lie, |report| !report.lost.is_empty() || !report.broken.is_empty()));
}
