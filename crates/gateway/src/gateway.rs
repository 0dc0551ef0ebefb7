//! The gateway: routes to models to providers, and the Model port over them.

use crate::{
    call::{Call, Stack},
    config::{AUTO, Config, ConfigError, ModelConfig, Options, REHEARSAL},
    http::HttpClient,
    prices::PriceTable,
    target::{Door, Target},
};
use bedplate_core::port::{
    BoxFuture,
    model::{Answered, EmbedCall, Embeddings, Model, ModelCall, ModelError, ModelErrorKind, ModelInfo, Noted, Notes},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

/// Models behind their routes. It is shared, and its configuration can be swapped while calls are under way; a call
/// keeps the model that it began with.
pub struct Gateway {
    options: Options,
    http: HttpClient,
    prices: PriceTable,
    auto: Arc<RwLock<Arc<Target>>>,
    rehearsal: Arc<Target>,
    table: RwLock<Table>,
}

/// What can be called by which name: the routes, and the models by their own names.
#[derive(Default)]
struct Table {
    entries: HashMap<String, Arc<Entry>>,
    /// The names of the routes, sorted.
    routes: Vec<String>,
}

struct Entry {
    name: Arc<str>,
    stack: Stack,
    /// The model that stands for the route in descriptions, and that makes its embeddings.
    door: Door,
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
        let rehearsal = Arc::new(Target::new(REHEARSAL, &ModelConfig::rehearsal(), &http, &options, &prices)?);
        let auto = Arc::new(RwLock::new(Arc::clone(&rehearsal)));
        let gateway = Self { options, http, prices, auto, rehearsal, table: RwLock::default() };
        gateway.reload(config)?;
        Ok(Arc::new(gateway))
    }

    /// Replaces models and routes; [`AUTO`] stays what it is.
    ///
    /// # Errors
    /// [`ConfigError`]; the old configuration stays in force then.
    pub fn reload(&self, config: Config) -> Result<(), ConfigError> {
        let table = self.table_of(config)?;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    /// Makes `config` the model [`AUTO`], for all calls from now on.
    ///
    /// # Errors
    /// [`ConfigError`]; the old one stays in force then.
    pub fn set_auto(&self, config: &ModelConfig) -> Result<(), ConfigError> {
        let target = Target::new(AUTO, config, &self.http, &self.options, &self.prices)?;
        *self.auto.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(target);
        Ok(())
    }

    fn table_of(&self, config: Config) -> Result<Table, ConfigError> {
        let mut doors: BTreeMap<String, Door> = BTreeMap::new();
        doors.insert(AUTO.to_owned(), Door::Auto(Arc::clone(&self.auto)));
        doors.insert(REHEARSAL.to_owned(), Door::Fixed(Arc::clone(&self.rehearsal)));
        for (name, model) in &config.models {
            let target = Target::new(name, model, &self.http, &self.options, &self.prices)?;
            if doors.insert(name.clone(), Door::Fixed(Arc::new(target))).is_some() {
                return Err(ConfigError::ReservedName(name.clone()));
            }
        }
        let mut entries: HashMap<String, Arc<Entry>> =
            doors.iter().map(|(name, door)| (name.clone(), entry(name, door))).collect();
        for (route, model) in &config.routes {
            let Some(door) = doors.get(model) else {
                return Err(ConfigError::UnknownModel { route: route.clone(), model: model.clone() });
            };
            entries.insert(route.clone(), entry(route, door));
        }
        Ok(Table { entries, routes: config.routes.into_keys().collect() })
    }

    fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).entries.get(name).map(Arc::clone)
    }
}

/// Returns what stands behind `name`, with the layers around it that its configuration asks for.
fn entry(name: &str, door: &Door) -> Arc<Entry> {
    Arc::new(Entry { name: name.into(), stack: Stack::new(door.clone()), door: door.clone() })
}

impl Model for Gateway {
    fn call(&self, call: ModelCall) -> BoxFuture<'static, Result<Answered, ModelError>> {
        let ModelCall { caller, asked, stream, deadline } = call;
        let Some(entry) = self.entry(asked.model()) else {
            return Box::pin(std::future::ready(Err(unknown(asked.model()))));
        };
        let notes = Arc::new(Notes::of(Noted { route: Some(Arc::clone(&entry.name)), ..Noted::default() }));
        let call = Call::new(caller, Arc::clone(&entry.name), asked, stream, deadline, Arc::clone(&notes));
        let answering = entry.stack.serve(call);
        Box::pin(async move { Ok(Answered { answer: answering.await?, notes }) })
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        match self.entry(&call.model) {
            Some(entry) => entry.door.embed(call),
            None => Box::pin(std::future::ready(Err(unknown(&call.model)))),
        }
    }

    fn describe(&self, route: &str) -> Option<ModelInfo> {
        self.entry(route).map(|entry| (*entry.door.target().info).clone())
    }

    fn routes(&self) -> Vec<String> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).routes.clone()
    }
}

fn unknown(name: &str) -> ModelError {
    ModelError::new(ModelErrorKind::NotFound, format!("there is no route or model `{name}`"))
}
