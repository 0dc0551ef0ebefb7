//! Live views: nothing twice, nothing missing, whenever somebody comes, goes, or is slow.

use crate::support::{Bench, drive, says};
use bedplate_core::{
    event::Event,
    id::{RunId, Seq, Tenant},
    message::ContentBlock,
    port::{
        BoxFuture,
        clock::Clock,
        model::{Answered, BlockKind, EmbedCall, Embeddings, Model, ModelCall, ModelError, ModelEvent, ModelInfo},
    },
};
use bedplate_runtime::{Live, RunError, Subscription};
use bedplate_testkit::{
    clock::SimClock,
    scripted::{self, FixedDefinitions, Script, ScriptedModel, ScriptedTools, agent, reply},
};
use futures::{StreamExt, stream};
use std::{sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// A model that says a word at a time.
struct Slow {
    clock: SimClock,
    words: usize,
    pause: Duration,
}

impl Model for Slow {
    fn call(&self, _call: ModelCall) -> BoxFuture<'static, Result<Answered, ModelError>> {
        let mut events = vec![ModelEvent::BlockStart { index: 0, kind: BlockKind::Text }];
        let word = |at| ModelEvent::TextDelta { index: 0, text: format!("w{at} ") };
        events.extend((0..self.words).map(word));
        let text: String = (0..self.words).map(|at| format!("w{at} ")).collect();
        events.push(ModelEvent::End(Box::new(reply(vec![ContentBlock::text(text)]))));
        let (clock, pause) = (self.clock.clone(), self.pause);
        let later = move |event| {
            let sleep = clock.sleep_until(clock.now().after(pause));
            async move {
                sleep.await;
                Ok(event)
            }
        };
        let script: Script = stream::iter(events).then(later).boxed();
        Box::pin(async move { Ok(Answered::events(script)) })
    }

    fn embed(&self, _call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        Box::pin(std::future::ready(Err(scripted::no_embeddings())))
    }

    fn describe(&self, _route: &str) -> Option<Arc<ModelInfo>> {
        None
    }

    fn routes(&self) -> Vec<String> {
        Vec::new()
    }
}

fn slow(words: usize, pause: Duration) -> Bench {
    let mut bench =
        Bench::new(FixedDefinitions::new([agent("helper", vec![])]), ScriptedModel::new([]), ScriptedTools::echo());
    bench.model = Arc::new(Slow { clock: bench.clock.clone(), words, pause });
    bench.restart();
    bench
}

async fn subscribe(bench: &Bench, run: RunId, after: Seq) -> Subscription {
    bench.drive(bench.runtime.subscribe(&Tenant::default(), run, after)).await.expect("subscribes")
}

/// Takes what comes until the turn has ended; returns the positions and the text that came piece by piece.
async fn read_to_end(mut subscription: Subscription) -> (Vec<Seq>, String) {
    let (mut positions, mut text) = (Vec::new(), String::new());
    loop {
        match subscription.next().await.expect("the stream goes on") {
            Live::Entry(entry) => {
                positions.push(entry.seq);
                if matches!(entry.event, Event::TurnEnded(_)) {
                    return (positions, text);
                }
            }
            Live::Partial { message, .. } => text = message.text(),
            Live::Delta { event: ModelEvent::TextDelta { text: more, .. }, .. } => text.push_str(&more),
            Live::Restart { .. } => text.clear(),
            Live::Delta { .. } | Live::CaughtUp => {}
            Live::Lagged { after } => panic!("lagged after {after}"),
        }
    }
}

#[tokio::test]
async fn whoever_comes_at_any_time_reads_every_entry_once_and_every_word() {
    let bench = slow(8, SECOND);
    let started = bench.start(says("count")).await;
    let whole: String = (0..8).map(|at| format!("w{at} ")).collect();
    let mut readers = Vec::new();
    for _ in 0..7 {
        readers.push(tokio::spawn(read_to_end(subscribe(&bench, started.run, 0).await)));
        let pause = bench.clock.sleep_until(bench.clock.now().after(Duration::from_millis(1_300)));
        bench.drive(pause).await;
    }
    for reader in readers {
        let (positions, text) = bench.drive(reader).await.expect("it reads to the end");
        assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>());
        assert_eq!(text, whole);
    }
}

#[tokio::test]
async fn a_reader_that_resumes_gets_only_what_it_has_not_seen() {
    let bench = slow(3, SECOND);
    let started = bench.start(says("count")).await;
    bench.wait(&started).await;
    let (all, _) = bench.drive(read_to_end(subscribe(&bench, started.run, 0).await)).await;
    let (rest, _) = bench.drive(read_to_end(subscribe(&bench, started.run, 3).await)).await;
    assert_eq!(rest, all[3..]);
}

#[tokio::test]
async fn a_reader_of_a_run_that_left_memory_sees_its_next_turn() {
    let model = ScriptedModel::new([scripted::says("One."), scripted::says("Two.")]);
    let bench = Bench::new(FixedDefinitions::new([agent("helper", vec![])]), model, ScriptedTools::echo());
    let first = bench.start(says("first")).await;
    bench.wait(&first).await;
    let hour = bench.clock.sleep_until(bench.clock.now().after(Duration::from_secs(3_600)));
    bench.drive(hour).await;
    assert_eq!(bench.runtime.stats().loaded_runs, 0);
    let head = bench.drive(bench.runtime.view(&Tenant::default(), first.run, None)).await.expect("a view").at;
    let reader = subscribe(&bench, first.run, head).await;
    assert_eq!((bench.runtime.stats().loaded_runs, bench.runtime.stats().subscribers), (0, 1));
    bench.start(says("second")).await;
    let (positions, _) = bench.drive(read_to_end(reader)).await;
    assert_eq!(positions.first(), Some(&(head + 1)));
    assert_eq!(bench.runtime.stats().subscribers, 0);
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_where_to_go_on() {
    let bench = slow(3_000, Duration::from_millis(10));
    let started = bench.start(says("count")).await;
    let mut reader = subscribe(&bench, started.run, 0).await;
    // It reads up to the present, and then no more while the model goes on.
    while !matches!(bench.drive(reader.next()).await, Some(Live::CaughtUp)) {}
    let pause = bench.clock.sleep_until(bench.clock.now().after(Duration::from_secs(15)));
    drive(&bench.clock, pause).await;
    let mut last = None;
    while let Some(live) = bench.drive(reader.next()).await {
        last = Some(live);
    }
    let Some(Live::Lagged { after }) = last else { panic!("it is told: {last:?}") };
    let (positions, text) = bench.drive(read_to_end(subscribe(&bench, started.run, after).await)).await;
    assert_eq!(positions.first(), Some(&(after + 1)));
    assert_eq!(text.split_whitespace().count(), 3_000);
}

#[tokio::test]
async fn a_view_of_nothing_is_refused() {
    let bench = slow(1, SECOND);
    let nobody = RunId::derive(&[b"nobody"]);
    let refused = bench.drive(bench.runtime.subscribe(&Tenant::default(), nobody, 0)).await;
    assert_eq!(refused.err(), Some(RunError::NotFound));
}

#[tokio::test]
async fn a_cut_reply_keeps_what_was_said() {
    let bench = slow(100, SECOND);
    let started = bench.start(says("count")).await;
    let pause = bench.clock.sleep_until(bench.clock.now().after(Duration::from_millis(5_500)));
    bench.drive(pause).await;
    let tenant = Tenant::default();
    bench.drive(bench.runtime.cancel(&tenant, started.run, None, None)).await.expect("cancels");
    bench.wait(&started).await;
    let view = bench.drive(bench.runtime.view(&tenant, started.run, None)).await.expect("a view");
    let said = view.messages.last().expect("a message").1.text();
    assert!(said.starts_with("w0 w1 "), "{said}");
}
