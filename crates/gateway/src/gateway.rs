//! The gateway: routes to models to providers, and the Model port over them.

use crate::{
    budget,
    call::{Call, Stack},
    config::{AUTO, Config, ConfigError, ModelConfig, Options, REHEARSAL},
    control::Control,
    embed::EmbedWay,
    http::HttpClient,
    limit::Rules,
    prices::PriceTable,
    route::{
        build::{Builder, Built},
        config::RouteConfig,
        dice::Dice,
        guard::Guard,
        residency::Leg,
    },
    target::{Door, Target},
};
use bedplate_core::{
    id::Tenant,
    port::{
        BoxFuture,
        health::{Health, ModelHealth},
        ledger::{BudgetState, Budgets, Ledger, LedgerError},
        model::{
            Answered, EmbedCall, Embeddings, Model, ModelCall, ModelError, ModelErrorKind, ModelInfo, Noted, Notes,
        },
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
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
    dice: Arc<Dice>,
    /// What watches over each model; it outlives a change of the configuration.
    guards: Mutex<HashMap<String, Arc<Guard>>>,
}

/// What can be called by which name: the routes, and the models by their own names.
#[derive(Default)]
struct Table {
    entries: HashMap<String, Arc<Entry>>,
    /// The names of the routes, sorted.
    routes: Vec<String>,
    /// The models by their own names.
    doors: BTreeMap<String, Door>,
    /// The plans and budgets in force, and where they are counted.
    books: Option<(Arc<Rules>, Arc<dyn Ledger>)>,
    /// The way of calls for embeddings; other calls take their route's stack.
    embedding: EmbedWay,
}

struct Entry {
    name: Arc<str>,
    stack: Stack,
    /// The model that stands for the route in descriptions.
    described: Arc<Leg>,
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
        let gateway = Self {
            options,
            http,
            prices,
            auto,
            rehearsal,
            table: RwLock::default(),
            dice: Arc::new(Dice::new()),
            guards: Mutex::default(),
        };
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
        let prices = self.prices.with(&config.policy.prices);
        let mut control = Control::new(&config.policy, &self.options, &self.http);
        let mut doors: BTreeMap<String, Door> = BTreeMap::new();
        doors.insert(AUTO.to_owned(), Door::Auto(Arc::clone(&self.auto)));
        doors.insert(REHEARSAL.to_owned(), Door::Fixed(Arc::clone(&self.rehearsal)));
        for (name, model) in &config.models {
            let target = Target::new(name, model, &self.http, &self.options, &prices)?;
            if doors.insert(name.clone(), Door::Fixed(Arc::new(target))).is_some() {
                return Err(ConfigError::ReservedName(name.clone()));
            }
        }
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        let Config { policies, routes, .. } = config;
        let mut builder = Builder::new(&self.options.clock, &self.dice, &doors, &policies, &routes, &mut guards);
        let mut entries: HashMap<String, Arc<Entry>> = HashMap::new();
        // A model by its own name is a route to it alone; a route of the same name goes before it.
        let models = doors.keys().map(|name| (name, RouteConfig::from(name.as_str())));
        for (name, config) in models.chain(routes.iter().map(|(name, config)| (name, config.clone()))) {
            let Built { stack, described, legs } = builder.route(name, &config)?;
            let stack = control.around(name, stack, &legs, config.jurisdiction.as_ref());
            let entry = Entry { name: name.as_str().into(), stack, described };
            entries.insert(name.clone(), Arc::new(entry));
        }
        let (books, embedding) = (control.books(), control.embed_way());
        control.finish();
        Ok(Table { entries, routes: routes.into_keys().collect(), doors, books, embedding })
    }

    fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).entries.get(name).map(Arc::clone)
    }
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
        let way = self.table.read().unwrap_or_else(PoisonError::into_inner).embedding.clone();
        way.serve(call)
    }

    fn describe(&self, route: &str) -> Option<Arc<ModelInfo>> {
        self.entry(route).map(|entry| entry.described.info())
    }

    fn routes(&self) -> Vec<String> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).routes.clone()
    }

    fn has_route(&self, name: &str) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.routes.binary_search_by(|route| route.as_str().cmp(name)).is_ok()
    }
}

impl Health for Gateway {
    fn models(&self) -> Vec<ModelHealth> {
        let now = self.options.clock.now();
        // Never both locks at once: a reload takes them in the other order.
        let doors = self.table.read().unwrap_or_else(PoisonError::into_inner).doors.clone();
        let guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        let known = doors.iter().filter_map(|(name, door)| Some((name, door, guards.get(name)?)));
        known.map(|(name, door, guard)| guard.describe(name, (*door.target().info).clone(), now)).collect()
    }
}

impl Budgets for Gateway {
    fn states(&self, tenant: &Tenant) -> BoxFuture<'static, Result<Vec<BudgetState>, LedgerError>> {
        let books = self.table.read().unwrap_or_else(PoisonError::into_inner).books.clone();
        let (tenant, now) = (tenant.clone(), self.options.clock.now());
        match books {
            Some((rules, ledger)) => Box::pin(budget::states(rules, ledger, tenant, now)),
            None => Box::pin(std::future::ready(Ok(Vec::new()))),
        }
    }

    fn prices_as_of(&self) -> String {
        self.prices.as_of.clone()
    }
}

fn unknown(name: &str) -> ModelError {
    ModelError::new(ModelErrorKind::NotFound, format!("there is no route or model `{name}`"))
}
