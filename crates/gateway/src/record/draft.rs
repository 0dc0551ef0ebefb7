//! What is known of a call when it ends: shared pieces and numbers, no text that would have to be made.

use crate::{call::Call, policy::LogPolicy, watch::Guess};
use bedplate_core::{
    id::RecordId,
    message::Usage,
    port::{
        Caller,
        model::{ModelReply, Noted, Notes},
        records::{CacheUse, CallRecord, Outcome},
    },
    time::Timestamp,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// How a call ended, before it is put into words.
pub(super) enum Ending {
    Ok,
    Failed(&'static str, String),
    Cancelled,
}

/// A call that ended.
pub(super) struct Draft {
    pub(super) id: RecordId,
    pub(super) at: Timestamp,
    pub(super) caller: Arc<Caller>,
    pub(super) notes: Arc<Notes>,
    pub(super) route: Arc<str>,
    pub(super) dialect: &'static str,
    pub(super) stream: bool,
    pub(super) ending: Ending,
    /// Tokens and money; none: nobody said them.
    pub(super) spent: Option<(Usage, Option<u64>)>,
    pub(super) guess: Guess,
    pub(super) first: Option<Duration>,
    pub(super) total: Duration,
    /// The request, where it may have to be logged or counted.
    pub(super) asked: Option<Call>,
    /// About how many tokens the request has, where it is none for a chat.
    pub(super) input: Option<u64>,
    pub(super) replied: Replied,
    pub(super) log: Arc<LogPolicy>,
    /// Whether it is only the sign that no more come.
    pub(super) is_last: bool,
}

/// The reply as far as it is logged.
#[derive(Default)]
pub(super) enum Replied {
    #[default]
    Nothing,
    Reply(Box<ModelReply>),
    Raw(Vec<Bytes>),
}

impl Draft {
    /// Returns the sign that no more come.
    pub(super) fn last() -> Self {
        Self {
            id: RecordId([0; 16]),
            at: Timestamp(0),
            caller: Arc::default(),
            notes: Arc::default(),
            route: "".into(),
            dialect: "core",
            stream: false,
            ending: Ending::Ok,
            spent: None,
            guess: Guess::default(),
            first: None,
            total: Duration::ZERO,
            asked: None,
            input: None,
            replied: Replied::Nothing,
            log: Arc::default(),
            is_last: true,
        }
    }

    /// Puts the call into words. What has to be logged is in the payload.
    pub(super) fn into_record(self) -> CallRecord {
        let noted = self.notes.read();
        let cache = noted.cache.and_then(CacheUse::of);
        let (usage, cost, estimated) = self.charged(&noted, cache);
        let payload = super::payload::of(&self);
        let text = |text: &Option<String>| text.as_deref().map(Arc::<str>::from);
        let info = noted.info.as_deref();
        let caller = &*self.caller;
        CallRecord {
            id: self.id,
            at: self.at,
            tenant: caller.tenant.clone(),
            user: Some(Arc::clone(&caller.user.0)),
            key: text(&caller.key),
            team: text(&caller.team),
            agent: text(&caller.agent),
            session: text(&caller.session),
            run: caller.run,
            tags: caller.tags.clone(),
            jurisdiction: text(&caller.jurisdiction),
            priority: caller.priority,
            dialect: self.dialect,
            stream: self.stream,
            route: self.route,
            reason: noted.reason,
            target: noted.target,
            provider: info.map(|info| info.provider.as_str().into()),
            model: info.map(|info| info.model.as_str().into()),
            attempts: noted.attempts,
            cache,
            degraded: noted.degraded,
            guard: noted.guard,
            prompt_cache_markers: noted.prompt_cache_markers,
            usage,
            estimated,
            cost,
            saved: noted.saved,
            first_token: self.first,
            total: self.total,
            outcome: match self.ending {
                Ending::Ok => Outcome::Ok,
                Ending::Cancelled => Outcome::Cancelled,
                Ending::Failed(kind, message) => Outcome::Failed { kind: kind.into(), message: message.into() },
            },
            payload,
        }
    }

    /// Returns tokens and money, and whether they are a guess.
    fn charged(&self, noted: &Noted, cache: Option<CacheUse>) -> (Usage, Option<u64>, bool) {
        if cache.is_some_and(CacheUse::is_hit) {
            return (Usage::default(), Some(0), false);
        }
        let price = noted.info.as_ref().and_then(|info| info.price);
        let (usage, cost, estimated) = match self.spent {
            Some((usage, cost)) => (usage, cost, false),
            None if noted.attempts == 0 => (Usage::default(), None, false),
            None => {
                let asked = || self.asked.as_ref().and_then(|call| call.core().ok());
                let estimate = || asked().map_or(0, |request| crate::tokens::estimate(request));
                let input = self.input.unwrap_or_else(estimate);
                (Usage { input, output: self.guess.output(), ..Usage::default() }, None, true)
            }
        };
        let cost = cost.or_else(|| price.map(|price| price.cost(&usage)));
        // A call that nobody was asked to answer costs nothing, whatever the prices are.
        let cost = if noted.attempts == 0 { Some(cost.unwrap_or(0)) } else { cost };
        (usage, cost, estimated)
    }
}
