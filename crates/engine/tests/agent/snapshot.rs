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
        bench.checked = false;
        for n in 0..turns {
            bench.start(&format!("q{n} {}", "x".repeat(2_000))).say(&"y".repeat(2_000));
        }
        bench.check();
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

#[test]
fn a_restored_state_is_not_whole_before_every_event_is_there() {
    let mut bench = Bench::new(agent());
    bench.start("one").say("1");
    let (mut state, needed) = Agent::restore(&Agent::snapshot(&bench.state)).unwrap();
    assert_eq!(needed, [1, 3], "the question and the reply");
    let give = |state: &mut _, content: u64, of: u64| {
        let entry = &bench.entries[usize::try_from(content).unwrap() - 1];
        Agent::restore_entry(state, of, entry.at, &entry.event);
    };
    give(&mut state, 1, 1);
    give(&mut state, 2, 3);
    assert!(!state.is_whole(), "an event of another kind is not what is missing");
    give(&mut state, 3, 3);
    assert!(state.is_whole() && state == bench.state);
}
