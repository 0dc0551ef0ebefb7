//! The gateway: routes to models to providers, and the Model port over them.

use crate::{
    config::{AUTO, Config, ConfigError, ModelConfig, Options, REHEARSAL},
    http::HttpClient,
    prices::PriceTable,
    providers::{self, Provider, ProviderCall},
    reply_stream::ReplyStream,
};
use bedplate_core::port::{
    BoxFuture, BoxStream,
    model::{Model, ModelCall, ModelError, ModelErrorKind, ModelEvent, ModelInfo},
};
use futures::future::{Either, select};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Models behind their routes. It is shared, and its configuration can be swapped while calls are under way; a call
/// keeps the model that it began with.
pub struct Gateway {
    options: Options,
    http: HttpClient,
    prices: PriceTable,
    table: RwLock<Table>,
}

struct Table {
    models: BTreeMap<String, Arc<Target>>,
    routes: BTreeMap<String, String>,
    auto: Arc<Target>,
    rehearsal: Arc<Target>,
}

/// A model, ready to be called.
pub(crate) struct Target {
    provider: Arc<dyn Provider>,
    model: String,
    max_tokens: Option<u32>,
    pub(crate) info: ModelInfo,
}

impl Gateway {
    /// Returns a gateway for `config`. The model [`AUTO`] is the rehearsal until [`Gateway::set_auto`] is called.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: Config, options: Options) -> Result<Arc<Self>, ConfigError> {
        Self::trusting(config, options, &[])
    }

    /// Does what [`Gateway::new`] does, and trusts the certificates in `extra_roots` (PEM) besides the public ones:
    /// those of a company's own proxy, for example (the file that `SSL_CERT_FILE` names).
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn trusting(config: Config, options: Options, extra_roots: &[u8]) -> Result<Arc<Self>, ConfigError> {
        let http = HttpClient::new(options.timeouts, extra_roots);
        let prices = PriceTable::built_in();
        let rehearsal = Arc::new(target(&ModelConfig::rehearsal(), &http, &options, &prices)?);
        let mut table =
            Table { models: BTreeMap::new(), routes: BTreeMap::new(), auto: Arc::clone(&rehearsal), rehearsal };
        (table.models, table.routes) = parts(config, &http, &options, &prices)?;
        Ok(Arc::new(Self { options, http, prices, table: RwLock::new(table) }))
    }

    /// Replaces models and routes; [`AUTO`] stays what it is.
    ///
    /// # Errors
    /// [`ConfigError`]; the old configuration stays in force then.
    pub fn reload(&self, config: Config) -> Result<(), ConfigError> {
        let (models, routes) = parts(config, &self.http, &self.options, &self.prices)?;
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.models = models;
        table.routes = routes;
        Ok(())
    }

    /// Makes `config` the model [`AUTO`], for all calls from now on.
    ///
    /// # Errors
    /// [`ConfigError`]; the old one stays in force then.
    pub fn set_auto(&self, config: &ModelConfig) -> Result<(), ConfigError> {
        let auto = Arc::new(target(config, &self.http, &self.options, &self.prices)?);
        self.table.write().unwrap_or_else(PoisonError::into_inner).auto = auto;
        Ok(())
    }

    fn resolve(&self, name: &str) -> Option<Arc<Target>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).resolve(name)
    }
}

impl Table {
    fn resolve(&self, name: &str) -> Option<Arc<Target>> {
        match self.routes.get(name).map_or(name, String::as_str) {
            AUTO => Some(Arc::clone(&self.auto)),
            REHEARSAL => Some(Arc::clone(&self.rehearsal)),
            model => self.models.get(model).map(Arc::clone),
        }
    }
}

impl Model for Gateway {
    fn call(
        &self,
        call: ModelCall,
    ) -> BoxFuture<'static, Result<BoxStream<'static, Result<ModelEvent, ModelError>>, ModelError>> {
        let ModelCall { caller, mut request, deadline } = call;
        let Some(target) = self.resolve(&request.model) else {
            let error =
                ModelError::new(ModelErrorKind::NotFound, format!("there is no route or model `{}`", request.model));
            return Box::pin(std::future::ready(Err(error)));
        };
        request.model.clone_from(&target.model);
        if let Some(most) = target.max_tokens {
            request.params.max_tokens = Some(request.params.max_tokens.map_or(most, |wanted| wanted.min(most)));
        }
        let clock = Arc::clone(&self.options.clock);
        let opening = target.provider.call(ProviderCall { request, run: caller.run });
        Box::pin(async move {
            let opened = match deadline {
                None => opening.await,
                Some(deadline) => match select(opening, clock.sleep_until(deadline)).await {
                    Either::Left((opened, _)) => opened,
                    Either::Right(((), _)) => return Err(deadline_passed()),
                },
            };
            let stream: BoxStream<'static, _> = Box::pin(ReplyStream::new(opened?, target, clock, deadline));
            Ok(stream)
        })
    }

    fn describe(&self, route: &str) -> Option<ModelInfo> {
        self.resolve(route).map(|target| target.info.clone())
    }

    fn routes(&self) -> Vec<String> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).routes.keys().cloned().collect()
    }
}

pub(crate) fn deadline_passed() -> ModelError {
    ModelError::new(ModelErrorKind::Timeout, "the deadline passed before the model had answered")
}

type Parts = (BTreeMap<String, Arc<Target>>, BTreeMap<String, String>);

fn parts(config: Config, http: &HttpClient, options: &Options, prices: &PriceTable) -> Result<Parts, ConfigError> {
    let mut models = BTreeMap::new();
    for (name, model) in &config.models {
        if name == AUTO || name == REHEARSAL {
            return Err(ConfigError::ReservedName(name.clone()));
        }
        models.insert(name.clone(), Arc::new(target(model, http, options, prices)?));
    }
    for (route, model) in &config.routes {
        if model != AUTO && model != REHEARSAL && !models.contains_key(model) {
            return Err(ConfigError::UnknownModel { route: route.clone(), model: model.clone() });
        }
    }
    Ok((models, config.routes))
}

fn target(
    model: &ModelConfig,
    http: &HttpClient,
    options: &Options,
    prices: &PriceTable,
) -> Result<Target, ConfigError> {
    let built = providers::build(&model.provider, http, options)?;
    let price = model.price.or_else(|| built.priced.then(|| prices.of(&model.model)).flatten());
    let info = ModelInfo {
        provider: built.name.to_owned(),
        model: model.model.clone(),
        foundation_model: built.foundation_model,
        price,
    };
    Ok(Target { provider: built.provider, model: model.model.clone(), max_tokens: model.max_tokens, info })
}
