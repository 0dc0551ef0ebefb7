//! Creating, appending, reading.

use super::{Subject, fixture::*};
use bedplate_core::{
    event::{Event, Preparation, ToolPrepared},
    id::{RunId, Tenant},
    port::journal::{AppendError, Expected, RunRef, RunStatus},
    time::Timestamp,
};
use futures::future::{join, join_all};

pub(super) async fn a_created_run_is_claimed_and_read_back_whole(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let mut new = run("ann", "chat");
    new.parent = Some(RunId::derive(&[b"parent"]));
    let mut first = batch(1_000, events(3));
    first.status = RunStatus::Running;
    first.wake_at = Some(Timestamp(9_000));
    first.title = Some("Where is my order?".into());
    let head = journal.create(new.clone(), first).await.expect("the run is new");
    assert_eq!((head.run.id, &head.tenant, head.kind), (new.id, &new.tenant, new.kind));
    assert_eq!((&head.name, &head.user, &head.session, head.parent), (&new.name, &new.user, &new.session, new.parent));
    assert_eq!((head.seq, head.status, head.wake_at), (3, RunStatus::Running, Some(Timestamp(9_000))));
    assert_eq!(
        (head.title.as_str(), head.created_at, head.touched_at),
        ("Where is my order?", Timestamp(1_000), Timestamp(1_000))
    );
    assert!(head.epoch > 0, "a created run is claimed");
    assert_eq!(now(&journal, &head).await, head);
    let entries = journal.read(head.run, 0, 100).await.expect("the store works");
    assert_eq!(
        entries.iter().map(|entry| (entry.seq, entry.at)).collect::<Vec<_>>(),
        [1, 2, 3].map(|seq| (seq, Timestamp(1_000)))
    );
    assert_eq!(entries.into_iter().map(|entry| entry.event).collect::<Vec<_>>(), events(3));
    append(&journal, &head, batch(1_001, events(1))).await;
}

pub(super) async fn a_run_is_created_once(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 2).await;
    let again = journal.create(run("ann", "chat"), batch(2_000, events(1))).await;
    assert_eq!(again.map(|head| head.seq), Err(AppendError::Conflict));
    assert_eq!(now(&journal, &head).await, head, "the second creation changed nothing");
    let both = (0..2).map(|_| journal.create(run("bob", "chat"), batch(1, events(1))));
    let created = join_all(both).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(created, 1, "of two creations at once one succeeds");
}

pub(super) async fn a_new_run_needs_an_event_and_consumes_nothing(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let mut consuming = batch(1, events(1));
    consuming.consumed = vec![1];
    for wrong in [batch(1, Vec::new()), consuming] {
        let refused = journal.create(run("ann", "chat"), wrong).await;
        assert!(matches!(refused, Err(AppendError::Invalid(_))), "{refused:?}");
    }
    create(&journal, "ann", "chat", 1).await;
}

pub(super) async fn an_append_needs_the_present_position(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 2).await;
    assert_eq!(journal.append(head.run, expected(&head), batch(2, events(3))).await, Ok(5));
    for seq in [0, 1, 2, 4, 6] {
        let wrong = Expected { seq, epoch: head.epoch };
        assert_eq!(journal.append(head.run, wrong, batch(3, events(1))).await, Err(AppendError::Conflict), "{seq}");
    }
    assert_eq!(read_all(&journal, &head).await.len(), 5);
}

pub(super) async fn an_append_needs_the_present_claim(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    for epoch in [0, head.epoch - 1, head.epoch + 1] {
        let wrong = Expected { seq: 1, epoch };
        assert_eq!(journal.append(head.run, wrong, batch(3, events(1))).await, Err(AppendError::Conflict), "{epoch}");
    }
    append(&journal, &head, batch(3, events(1))).await;
}

pub(super) async fn of_two_appends_with_the_same_expectation_one_succeeds(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let mut head = create(&journal, "ann", "chat", 1).await;
    for round in 0..20 {
        let [a, b] = ["a", "b"].map(|name| vec![event(round, name)]);
        let first = journal.append(head.run, expected(&head), batch(2, a.clone()));
        let second = journal.append(head.run, expected(&head), batch(2, b.clone()));
        let (first, second) = join(first, second).await;
        let winner = match (first, second) {
            (Ok(seq), Err(AppendError::Conflict)) if seq == head.seq + 1 => a,
            (Err(AppendError::Conflict), Ok(seq)) if seq == head.seq + 1 => b,
            other => panic!("one succeeds and one conflicts: {other:?}"),
        };
        let written = journal.read(head.run, head.seq, 10).await.expect("the store works");
        assert_eq!(written.into_iter().map(|entry| entry.event).collect::<Vec<_>>(), winner);
        head = now(&journal, &head).await;
    }
}

pub(super) async fn a_refused_append_leaves_every_other_run_alone(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let mut heads = Vec::new();
    for index in 0..60 {
        heads.push(create(&journal, "ann", &format!("chat {index}"), 1).await);
    }
    // All at once, so that an adapter that groups commits puts good ones and bad ones into one group.
    let appends = heads.iter().enumerate().map(|(index, head)| {
        let mut expected = expected(head);
        let mut batch = batch(2, vec![event(1, format!("of {index}"))]);
        match index % 4 {
            1 => expected.seq += 1,
            2 => expected.epoch += 1,
            3 => batch.consumed = vec![77],
            _ => {}
        }
        journal.append(head.run, expected, batch)
    });
    for (index, (outcome, head)) in join_all(appends).await.into_iter().zip(&heads).enumerate() {
        let events = read_all(&journal, head).await;
        if index % 4 == 0 {
            assert_eq!((outcome, events.last()), (Ok(2), Some(&event(1, format!("of {index}")))));
        } else {
            assert!(outcome.is_err());
            assert_eq!((events.len(), now(&journal, head).await), (1, head.clone()));
        }
    }
}

pub(super) async fn an_append_without_events_changes_the_head_only(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 2).await;
    let mut empty = batch(5, Vec::new());
    empty.status = RunStatus::Waiting;
    empty.wake_at = Some(Timestamp(50));
    assert_eq!(journal.append(head.run, expected(&head), empty.clone()).await, Ok(2));
    let after = now(&journal, &head).await;
    assert_eq!((after.seq, after.status, after.wake_at), (2, RunStatus::Waiting, Some(Timestamp(50))));
    assert_eq!(read_all(&journal, &head).await, events(2));
    let stale = Expected { seq: 1, epoch: head.epoch };
    assert_eq!(journal.append(head.run, stale, empty).await, Err(AppendError::Conflict));
    append(&journal, &after, batch(6, events(1))).await;
    assert_eq!(read_all(&journal, &head).await.len(), 3);
}

pub(super) async fn a_title_touches_the_run_and_nothing_else_does(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    let plain = append(&journal, &head, batch(2_000, events(1))).await;
    assert_eq!((plain.title.as_str(), plain.touched_at), ("", Timestamp(1_000)));
    let mut titled = batch(3_000, events(1));
    titled.title = Some("A question".into());
    let titled = append(&journal, &plain, titled).await;
    assert_eq!((titled.title.as_str(), titled.touched_at), ("A question", Timestamp(3_000)));
    let later = append(&journal, &titled, batch(4_000, events(1))).await;
    assert_eq!(
        (later.title.as_str(), later.touched_at, later.created_at),
        ("A question", Timestamp(3_000), Timestamp(1_000))
    );
}

pub(super) async fn events_are_read_in_pages_of_whole_batches(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    // Batches end at 3, 4, 6.
    let mut head = create(&journal, "ann", "chat", 3).await;
    for count in [1, 2] {
        head = append(&journal, &head, batch(2, events(count))).await;
    }
    let expectations = [
        (0, 1, vec![1, 2, 3]),
        (0, 3, vec![1, 2, 3]),
        (0, 4, vec![1, 2, 3, 4]),
        (0, 5, vec![1, 2, 3, 4, 5, 6]),
        (0, usize::MAX, vec![1, 2, 3, 4, 5, 6]),
        (1, 1, vec![2, 3]),
        (1, 3, vec![2, 3, 4]),
        (3, 1, vec![4]),
        (4, 1, vec![5, 6]),
        (5, 9, vec![6]),
        (6, 9, vec![]),
        (u64::MAX, 9, vec![]),
    ];
    for (after, limit, positions) in expectations {
        let page = journal.read(head.run, after, limit).await.expect("the store works");
        assert_eq!(
            page.into_iter().map(|entry| entry.seq).collect::<Vec<_>>(),
            positions,
            "after {after}, limit {limit}"
        );
    }
}

pub(super) async fn a_long_journal_is_read_from_every_position(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let mut head = create(&journal, "ann", "chat", 1).await;
    let mut ends = vec![1];
    for index in 0..150_u64 {
        // Other runs write in between.
        if index % 5 == 0 {
            create(&journal, "bob", &format!("{index}"), 1).await;
        }
        let wanted = (0..1 + index % 3).map(|part| event(index, format!("{}", head.seq + part + 1))).collect();
        head = append(&journal, &head, batch(2, wanted)).await;
        ends.push(head.seq);
    }
    for after in 0..head.seq {
        let page = journal.read(head.run, after, 20).await.expect("the store works");
        let end = ends.iter().copied().find(|end| *end >= (after + 20).min(head.seq)).expect("some batch ends there");
        assert_eq!(page.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (after + 1..=end).collect::<Vec<_>>());
        for entry in page.iter().filter(|entry| entry.seq > 1) {
            assert!(
                matches!(&entry.event, Event::QuestionAnswered(answer) if answer.note == Some(entry.seq.to_string()))
            );
        }
    }
}

pub(super) async fn every_number_and_character_reads_back_as_it_was(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let awkward = "quotes \" \\ / \u{0} \u{1f} \u{7f} \u{2028} ünï 漢字 🎏 {\"$blob\":\"x\"} ' ; --";
    let preview = serde_json::json!({
        "$blob": "0000", "z": 1, "a": [0.1, 1e300, -0.0, 5e-324, 0.30000000000000004, 123_456_789.123_456_79],
        "big": u64::MAX, "small": i64::MIN, "text": awkward, "empty": {}, "null": null,
    });
    let prepared = ToolPrepared { call: 1, preparation: Preparation::Ask { question: awkward.into(), preview } };
    let written = vec![event(u64::MAX, awkward), Event::ToolPrepared(prepared)];
    let head = journal.create(run("ann", awkward), batch(i64::MIN, written.clone())).await.expect("the run is new");
    assert_eq!(read_all(&journal, &head).await, written);
    let read = now(&journal, &head).await;
    assert_eq!((read.session.as_str(), read.created_at), (awkward, Timestamp(i64::MIN)));
}

pub(super) async fn what_was_acknowledged_survives_the_process(mut subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 2).await;
    let head = append(&journal, &head, batch(2, vec![event(1, "x".repeat(100_000))])).await;
    journal.signal(&head.tenant, head.run.id, "k", "hello".into(), Timestamp(9)).await.expect("the run exists");
    let head = now(&journal, &head).await;
    let before = read_all(&journal, &head).await;
    drop(journal);
    subject.reopen();
    let journal = subject.journal();
    assert_eq!(now(&journal, &head).await, head);
    assert_eq!(read_all(&journal, &head).await, before);
    assert_eq!(journal.signals(head.run).await.expect("the store works").len(), 1);
}

pub(super) async fn a_run_that_does_not_exist_reads_as_empty_and_takes_no_append(subject: Box<dyn Subject>) {
    let journal = subject.journal();
    let head = create(&journal, "ann", "chat", 1).await;
    let nobody = RunRef { id: RunId::derive(&[b"nobody"]), key: head.run.key + 1 };
    // A key that names another run now is as good as none.
    let mistaken = RunRef { id: nobody.id, key: head.run.key };
    for run in [nobody, mistaken] {
        assert_eq!(journal.append(run, expected(&head), batch(2, events(1))).await, Err(AppendError::NotFound));
        assert_eq!(journal.read(run, 0, 10).await, Ok(Vec::new()));
        assert_eq!(journal.signals(run).await, Ok(Vec::new()));
    }
    assert_eq!(journal.head(&tenant(), nobody.id).await, Ok(None));
    assert_eq!(journal.head(&Tenant::from("other"), head.run.id).await, Ok(None));
}
