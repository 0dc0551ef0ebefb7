//! Snapshots: small, free of content, and whole again with the events that they name. (That they restore to the very
//! state is checked by every step of every test.)

use crate::bench::{Bench, agent};
use bedplate_engine::{agent::Agent, machine::Machine};

#[test]
fn a_snapshot_repeats_no_content() {
    let mut bench = Bench::new(agent());
    bench.start("a secret question");
    let calls = bench.call(&["look", "refund"]);
    bench.returns(calls[0], "a secret result").ask(calls[1], "a secret preview");
    let snapshot = String::from_utf8(Agent::snapshot(&bench.state)).unwrap();
    assert!(!snapshot.contains("secret"), "{snapshot}");
}

#[test]
fn a_snapshot_grows_by_a_small_constant_a_turn() {
    let size = |turns: usize| {
        let mut bench = Bench::new(agent());
        for n in 0..turns {
            bench.start(&format!("q{n} {}", "x".repeat(2_000))).say(&"y".repeat(2_000));
        }
        Agent::snapshot(&bench.state).len()
    };
    let (short, long) = (size(300), size(400));
    assert!((long - short) / 100 < 60, "{} bytes a turn once the views are full", (long - short) / 100);
}

#[test]
fn a_snapshot_of_another_form_is_not_used() {
    assert!(Agent::restore(b"").is_none());
    assert!(Agent::restore(b"{}").is_none());
    let bench = Bench::new(agent());
    let newer = String::from_utf8(Agent::snapshot(&bench.state)).unwrap().replace("\"version\":1", "\"version\":2");
    assert!(Agent::restore(newer.as_bytes()).is_none());
}

#[test]
fn an_empty_state_needs_no_event() {
    let (state, needed) = Agent::restore(&Agent::snapshot(&Default::default())).unwrap();
    assert!(needed.is_empty() && state == Default::default());
}
