//! The innermost service of a stack: a model at its provider, with its clamp and its price.

use crate::{
    call::{Answering, Call, Serve},
    config::{ConfigError, ModelConfig, Options},
    http::HttpClient,
    prices::PriceTable,
    providers::{self, PassCall, Provider, ProviderCall, ProviderEmbed},
    reply_stream::ReplyStream,
};
use bedplate_core::{
    port::{
        BoxFuture,
        clock::Clock,
        model::{Answer, EmbedCall, Embeddings, ModelError, ModelErrorKind, ModelInfo, RawBody, RawEnd, RawReply},
    },
    time::Timestamp,
};
use bedplate_dialects::untranslated;
use futures::future::{Either, select};
use std::sync::{Arc, PoisonError, RwLock};

/// A model, ready to be called.
pub(crate) struct Target {
    /// Its name in the configuration.
    pub(crate) name: Arc<str>,
    pub(crate) info: Arc<ModelInfo>,
    provider: Arc<dyn Provider>,
    max_tokens: Option<u32>,
    clock: Arc<dyn Clock>,
}

impl Target {
    /// Returns the model that `config` describes under `name`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub(crate) fn new(
        name: &str,
        config: &ModelConfig,
        http: &HttpClient,
        options: &Options,
        prices: &PriceTable,
    ) -> Result<Self, ConfigError> {
        let built = providers::build(&config.provider, &config.model, http, options)?;
        let price =
            config.price.or_else(|| built.priced.then(|| prices.billed(&config.model, config.billing)).flatten());
        let info = ModelInfo {
            provider: built.name.to_owned(),
            model: config.model.clone(),
            foundation_model: built.foundation_model,
            price,
        };
        Ok(Self {
            name: name.into(),
            info: Arc::new(info),
            provider: built.provider,
            max_tokens: config.max_tokens,
            clock: Arc::clone(&options.clock),
        })
    }

    fn call(self: Arc<Self>, call: Call) -> Answering {
        call.notes.note(|noted| {
            noted.target = Some(Arc::clone(&self.name));
            noted.info = Some(Arc::clone(&self.info));
            noted.attempts += 1;
        });
        let (run, stream, deadline) = (call.caller.run, call.stream, call.deadline);
        let notes = Arc::clone(&call.notes);
        if let Some(raw) = call.raw() {
            let pass = PassCall { raw, model: &self.info.model, stream, max_tokens: self.max_tokens };
            if let Some(opening) = self.provider.pass(pass) {
                return self.held(opening, deadline);
            }
        }
        let request = match call.core().map(Arc::clone) {
            Ok(request) => request,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        // A request that nobody else holds is changed in place by a provider that sends it.
        drop(call);
        if !request.params.extra.is_empty() {
            let untranslated = untranslated(&request.params, self.provider.dialect());
            notes.note(|noted| noted.untranslated = untranslated);
        }
        let (model, max_tokens) = (self.info.model.clone(), self.max_tokens);
        let opening = self.provider.call(ProviderCall { request, model, max_tokens, run, stream });
        self.held(Box::pin(async move { opening.await.map(Answer::Events) }), deadline)
    }

    /// Holds a provider's answer to the port's promises, and to the deadline.
    fn held(self: Arc<Self>, opening: Answering, deadline: Option<Timestamp>) -> Answering {
        Box::pin(async move {
            let clock = Arc::clone(&self.clock);
            Ok(match in_time(opening, &clock, deadline).await? {
                Answer::Events(events) => Answer::Events(Box::pin(ReplyStream::new(events, self, clock, deadline))),
                Answer::Raw(RawReply { content_type, body }) => {
                    let body = match body {
                        RawBody::Whole(bytes, end) => RawBody::Whole(bytes, self.priced(end)),
                        RawBody::Stream(pieces) => {
                            RawBody::Stream(Box::pin(ReplyStream::new(pieces, self, clock, deadline)))
                        }
                    };
                    Answer::Raw(RawReply { content_type, body })
                }
            })
        })
    }

    /// Returns the end of a raw reply with what it costs.
    pub(crate) fn priced(&self, end: RawEnd) -> RawEnd {
        RawEnd { cost: end.cost.or_else(|| self.info.price.map(|price| price.cost(&end.usage))), ..end }
    }

    fn embed(self: Arc<Self>, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let EmbedCall { inputs, dimensions, deadline, .. } = call;
        let model = self.info.model.clone();
        let embedding = self.provider.embed(ProviderEmbed { model, inputs, dimensions });
        Box::pin(async move {
            let mut embeddings = in_time(embedding, &self.clock, deadline).await?;
            embeddings.provider.clone_from(&self.info.provider);
            if embeddings.model.is_empty() {
                embeddings.model.clone_from(&self.info.model);
            }
            embeddings.cost = self.info.price.map(|price| price.cost(&embeddings.usage));
            Ok(embeddings)
        })
    }
}

/// Waits for a provider until the deadline.
async fn in_time<T>(
    opening: BoxFuture<'static, Result<T, ModelError>>,
    clock: &Arc<dyn Clock>,
    deadline: Option<Timestamp>,
) -> Result<T, ModelError> {
    match deadline {
        None => opening.await,
        Some(deadline) => match select(opening, clock.sleep_until(deadline)).await {
            Either::Left((opened, _)) => opened,
            Either::Right(((), _)) => Err(deadline_passed()),
        },
    }
}

pub(crate) fn deadline_passed() -> ModelError {
    ModelError::new(ModelErrorKind::Timeout, "the deadline passed before the model had answered")
}

/// The way to a model; the one that discovery finds may change under it.
#[derive(Clone)]
pub(crate) enum Door {
    Fixed(Arc<Target>),
    Auto(Arc<RwLock<Arc<Target>>>),
}

impl Door {
    /// Returns the model behind it now.
    pub(crate) fn target(&self) -> Arc<Target> {
        match self {
            Self::Fixed(target) => Arc::clone(target),
            Self::Auto(slot) => Arc::clone(&slot.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Returns the embeddings of the model behind it now.
    pub(crate) fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        self.target().embed(call)
    }
}

impl Serve for Door {
    fn serve(&self, call: Call) -> Answering {
        self.target().call(call)
    }
}
