//! A turn as a stream of server-sent events: what happened, what happens, and at the end the same answer as without one.

use crate::{
    ApiError, App,
    access::Identity,
    routes::invoke::{finish, open_questions, run_error, shutting_down},
    sse,
    wire::{ModelBody, TurnBody},
};
use axum::response::Response;
use bedplate_core::{
    event::{Entry, Event},
    id::Seq,
    port::journal::Head,
};
use bedplate_runtime::{Live, Started, TurnResult};
use futures::{Stream, StreamExt};
use serde_json::json;

/// A piece of what happens in a turn.
pub(crate) enum Piece {
    /// It happened, or a model says more.
    Live(Live),
    /// The turn is over or waits for a person. Always the last, unless the stream fails.
    Done(Box<(Head, TurnResult)>),
    /// The stream cannot go on; the turn does. Always the last.
    Failed(ApiError),
}

/// Returns what happens in a turn up to its end, or until it waits for a person; a turn that is queued shows what it
/// waits for first. A server that stops ends the stream with [`Piece::Failed`].
pub(crate) async fn pieces(
    app: App,
    identity: Identity,
    started: Started,
) -> Result<impl Stream<Item = Piece> + Send + 'static, ApiError> {
    let run = started.run;
    let mut seen = Seen { turn: started.turn, began: false, last: started.turn.saturating_sub(1) };
    let mut live = app.runtime().subscribe(&identity.tenant, run, seen.last).await.map_err(run_error)?;
    Ok(async_stream::stream! {
        let mut done = Box::pin(finish(&app, &identity, &started));
        let mut closed = std::pin::pin!(app.closed());
        // The answer, while events up to it are still on their way.
        let mut answer: Option<(Head, TurnResult)> = None;
        let mut cut = None;
        let last = loop {
            tokio::select! {
                biased;
                next = live.next() => match next {
                    Some(Live::Lagged { after }) if cut != Some(after) => {
                        cut = Some(after);
                        match app.runtime().subscribe(&identity.tenant, run, after).await {
                            Ok(again) => live = again,
                            Err(error) => break Err(run_error(error)),
                        }
                    }
                    Some(Live::Lagged { .. }) | None => break Err(ApiError::store(&"a live stream ended early")),
                    Some(item) => {
                        let over = if let Live::Entry(entry) = &item { seen.ends(entry) } else { false };
                        yield Piece::Live(item);
                        let all = answer.as_ref().is_some_and(|(head, _)| seen.last >= head.seq);
                        if over || all {
                            break match answer {
                                Some(answer) => Ok(answer),
                                None => done.as_mut().await,
                            };
                        }
                    }
                },
                result = &mut done, if answer.is_none() => match result {
                    // Everything that happened comes before the word that it is over.
                    Ok((head, result)) if seen.last < head.seq => answer = Some((head, result)),
                    result => break result,
                },
                () = &mut closed => break Err(shutting_down()),
            }
        };
        yield match last {
            Ok(done) => Piece::Done(Box::new(done)),
            Err(error) => Piece::Failed(error),
        };
    })
}

/// Answers with the stream of a turn.
pub(crate) async fn respond(
    app: App,
    identity: Identity,
    started: Started,
    model: Option<ModelBody>,
) -> Result<Response, ApiError> {
    let run = started.run;
    let pieces = pieces(app, identity, started.clone()).await?;
    let first = sse::named(
        "started",
        &json!({
            "run_id": run.to_string(), "session_id": started.session, "turn": started.turn, "joined": started.joined,
            "queued_behind": started.queued_behind, "model": model,
        }),
    );
    let events = pieces.filter_map(move |piece| {
        std::future::ready(match piece {
            Piece::Live(live) => sse::live_event(run, &live),
            Piece::Done(done) => {
                let (head, result) = *done;
                let questions = open_questions(&head, &result);
                Some(sse::named("done", &TurnBody::of(&started, &result, questions, model.clone())))
            }
            Piece::Failed(error) => Some(sse::failure(&error)),
        })
    });
    Ok(sse::respond(futures::stream::iter([first]).chain(events)))
}

/// How far a stream has come.
struct Seen {
    turn: Seq,
    began: bool,
    last: Seq,
}

impl Seen {
    /// Takes the next entry; returns whether it ends the turn. The end that comes while the turn is still queued is
    /// that of the one before it.
    fn ends(&mut self, entry: &Entry) -> bool {
        self.last = entry.seq;
        match &entry.event {
            Event::TurnStarted(_) => self.began |= entry.seq == self.turn,
            Event::QueuedTurnStarted(started) => self.began |= started.queued == self.turn,
            Event::TurnEnded(_) => return self.began,
            _ => {}
        }
        false
    }
}
