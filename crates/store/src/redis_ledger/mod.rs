//! The Ledger port in Redis: limits and budgets that several replicas share.
//!
//! Each word to it is one script, which Redis runs as a whole, so that replicas that reserve at once never pass a limit
//! together. The time is that of the caller; what Redis lost (a restart without persistence) begins anew.

use bedplate_core::{
    id::Tenant,
    port::{
        BoxFuture,
        ledger::{Account, Balance, Claim, Hold, Ledger, LedgerError, Period, Reservation, ReserveError, Settled},
    },
    time::Timestamp,
};
use redis::{
    Client, FromRedisValue, RedisError, Script, ToRedisArgs,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// The largest amount that is counted exactly, so that the sum of many stays within what Lua counts exactly.
const MOST: u64 = 1 << 50;

/// How long an account is kept after what it counts has ended: a call that is under way then still settles in it.
const KEEP: i64 = 86_400_000;

/// How long an account that never ends is kept after its last reservation, in milliseconds.
const REST: i64 = crate::book::REST.as_millis() as i64;

/// How long an answer is waited for when its caller no longer does: what was reserved for nobody is given back.
const ANSWER: Duration = Duration::from_secs(120);

/// How many accounts are read at once, so that a list holds nobody up, and how many a list shows.
const PAGE: usize = 500;
const MAX_LIST: usize = 10_000;

/// Where the ledger is.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port/db`, or `rediss://` for TLS.
    pub url: String,
    /// What all keys begin with: servers with the same prefix share their limits.
    pub prefix: String,
    /// How long a caller waits for a word to it.
    pub timeout: Duration,
}

/// A ledger in Redis, 6.2 or later. Clones share its connection, which is made anew when it broke.
#[derive(Clone)]
pub struct RedisLedger {
    connection: ConnectionManager,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
    timeout: Duration,
}

struct Scripts {
    reserve: Script,
    settle: Script,
    balances: Script,
}

/// What a script said of an account: used, held, the last bucket that counts something.
type Standing = (u64, u64, i64);

impl RedisLedger {
    /// Returns the ledger without reaching it yet.
    ///
    /// # Errors
    /// [`LedgerError`] when the address cannot be one.
    pub fn open(options: RedisOptions) -> Result<Self, LedgerError> {
        let client = Client::open(options.url).map_err(|error| failed(&error))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(options.timeout))
            .set_response_timeout(Some(options.timeout.max(ANSWER)))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(100));
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(|error| failed(&error))?;
        let scripts = Scripts {
            reserve: Script::new(include_str!("reserve.lua")),
            settle: Script::new(include_str!("settle.lua")),
            balances: Script::new(include_str!("balances.lua")),
        };
        Ok(Self { connection, prefix: options.prefix.into(), scripts: Arc::new(scripts), timeout: options.timeout })
    }

    /// Checks that it answers.
    ///
    /// # Errors
    /// [`LedgerError`] when it does not.
    pub async fn check(&self) -> Result<(), LedgerError> {
        let mut connection = self.connection.clone();
        let asked = redis::cmd("PING");
        self.within(asked.query_async::<()>(&mut connection)).await?.map_err(|error| failed(&error))
    }

    /// Waits for an answer as long as a caller does.
    async fn within<T>(&self, answer: impl Future<Output = T>) -> Result<T, LedgerError> {
        let late = |_| LedgerError("it did not answer in time".into());
        tokio::time::timeout(self.timeout, answer).await.map_err(late)
    }

    fn places(&self, tenant: &Tenant) -> Places {
        // What is in braces decides in a cluster where a key is: a tenant's keys are together.
        let tenant = tenant.as_str().replace('%', "%25").replace('{', "%7b").replace('}', "%7d");
        let root = format!("{}:{{{tenant}}}:", self.prefix);
        Places { index: format!("{root}accounts"), accounts: format!("{root}a:") }
    }
}

/// What was reserved and not yet taken by whoever asked for it; dropped, it is given back.
struct Unclaimed {
    ledger: RedisLedger,
    reservation: Reservation,
}

impl Unclaimed {
    fn claim(mut self) -> Reservation {
        std::mem::take(&mut self.reservation)
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        let reservation = std::mem::take(&mut self.reservation);
        if reservation.holds.is_empty() {
            return;
        }
        // Without a runtime the process ends, and what it held counts as after a crash.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let released = self.ledger.release(reservation);
            runtime.spawn(async move {
                if let Err(error) = released.await {
                    tracing::warn!(%error, "what was reserved for nobody could not be given back");
                }
            });
        }
    }
}

/// The keys of a tenant.
struct Places {
    index: String,
    /// What keys of accounts begin with.
    accounts: String,
}

impl Places {
    fn account(&self, account: &Account) -> String {
        format!("{}{}", self.accounts, name(account))
    }
}

/// Returns what an account is called in the index.
fn name(account: &Account) -> String {
    format!("{}\0{}", account.name, account.period.as_str())
}

/// Returns the first bucket that counts at `now`.
fn from(period: Period, now: Timestamp) -> i64 {
    let bucket = period.bucket(now);
    match period {
        // A bucket counts until its end has come, so the first one ends a millisecond from now at the earliest.
        Period::Minute => {
            let length = period.end(0).map_or(0, |end| end.0);
            now.0.saturating_sub(length).saturating_add(1).max(0)
        }
        Period::Day | Period::Month | Period::Ever => bucket,
    }
}

/// Returns how long an account is kept that something is reserved in at `now`, in milliseconds.
fn keep(period: Period, now: Timestamp) -> i64 {
    period.end(period.bucket(now)).map_or(REST, |end| end.0.saturating_sub(now.0).saturating_add(KEEP))
}

fn balance(period: Period, (used, held, last): Standing) -> Balance {
    Balance { used, held, frees_at: (last >= 0).then(|| period.end(last)).flatten() }
}

impl RedisLedger {
    /// Reserves, however long Redis takes for it.
    async fn reserved(&self, now: Timestamp, claims: Vec<Claim>, call: &Words) -> Result<Reservation, ReserveError> {
        let (well, said) = rest(call.say(&self.scripts.reserve, &mut self.connection.clone()).await?)?;
        if well == 0 {
            return Err(refusal(now, &claims, &said)?);
        }
        let mut holds = Vec::with_capacity(claims.len());
        for (claim, said) in claims.into_iter().zip(said) {
            let standing = read::<Standing>(said)?;
            let period = claim.account.period;
            holds.push(Hold { bucket: period.bucket(now), balance: balance(period, standing), claim });
        }
        Ok(Reservation { holds })
    }
}

impl Ledger for RedisLedger {
    fn reserve(&self, now: Timestamp, claims: Vec<Claim>) -> BoxFuture<'static, Result<Reservation, ReserveError>> {
        let ledger = self.clone();
        let Some(places) = claims.first().map(|claim| self.places(&claim.account.tenant)) else {
            return Box::pin(async { Ok(Reservation::default()) });
        };
        if claims.iter().any(|claim| claim.account.tenant != claims[0].account.tenant) {
            return Box::pin(async { Err(LedgerError("the claims are of several tenants".into()).into()) });
        }
        let mut call = Words::default();
        call.key(places.index.clone()).arg(&places.accounts).arg(KEEP);
        for claim in &claims {
            let period = claim.account.period;
            // A limit beyond what is counted exactly is none that anybody reaches.
            let limit = claim.limit.map_or(-1, |limit| i64::try_from(limit.min(MOST)).unwrap_or(i64::MAX));
            call.key(places.account(&claim.account))
                .arg(name(&claim.account))
                .arg(from(period, now))
                .arg(period.bucket(now))
                .arg(amount(claim, claim.amount))
                .arg(limit)
                .arg(keep(period, now));
        }
        Box::pin(async move {
            // A script that was sent runs whether or not its caller still waits, so its answer is always taken.
            let (tell, told) = oneshot::channel();
            let keeper = ledger.clone();
            tokio::spawn(async move {
                let reserved = keeper.reserved(now, claims, &call).await;
                // Dropped by whoever is left, an unclaimed reservation is given back.
                let _ = tell.send(reserved.map(|reservation| Unclaimed { ledger: keeper, reservation }));
            });
            let unclaimed = ledger.within(told).await?;
            let unclaimed = unclaimed.map_err(|_| LedgerError("the server stops".into()))??;
            Ok(unclaimed.claim())
        })
    }

    fn settle(
        &self,
        reservation: Reservation,
        spent: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Settled>, LedgerError>> {
        if reservation.holds.is_empty() {
            return Box::pin(async { Ok(Vec::new()) });
        }
        let Self { mut connection, scripts, .. } = self.clone();
        let mut call = Words::default();
        for (index, hold) in reservation.holds.iter().enumerate() {
            let spent = spent.get(index).copied().unwrap_or(0).min(MOST);
            let keep = if hold.claim.account.period == Period::Ever { REST } else { KEEP };
            call.key(self.places(&hold.claim.account.tenant).account(&hold.claim.account))
                .arg(hold.bucket)
                .arg(amount(&hold.claim, hold.claim.amount))
                .arg(spent)
                .arg(keep);
        }
        Box::pin(async move {
            let said: Vec<(u64, u64)> = call.say(&scripts.settle, &mut connection).await?;
            Ok(said.into_iter().map(|(before, after)| Settled { before, after }).collect())
        })
    }

    fn balances(
        &self,
        now: Timestamp,
        tenant: &Tenant,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<(Account, Balance)>, LedgerError>> {
        let ledger = self.clone();
        let Self { mut connection, scripts, .. } = self.clone();
        let (places, tenant) = (self.places(tenant), tenant.clone());
        let (mut first, last) = match prefix {
            "" => (b"-".to_vec(), b"+".to_vec()),
            prefix => ([b"[", prefix.as_bytes()].concat(), [b"(", prefix.as_bytes(), b"\xff"].concat()),
        };
        Box::pin(async move {
            let mut found = Vec::new();
            loop {
                let mut call = Words::default();
                call.key(places.index.clone()).arg(&places.accounts).arg(&first).arg(&last).arg(PAGE);
                for period in Period::ALL {
                    call.arg(period.as_str()).arg(from(period, now));
                }
                let page: Vec<(String, u64, u64, i64)> =
                    ledger.within(call.say(&scripts.balances, &mut connection)).await??;
                let size = page.len();
                if let Some((name, ..)) = page.last() {
                    first = [b"(", name.as_bytes()].concat();
                }
                for (name, used, held, last) in page {
                    let Some((name, period)) = name.rsplit_once('\0') else { continue };
                    let Some(period) = Period::of(period).filter(|_| used > 0 || held > 0) else { continue };
                    let account = Account { tenant: tenant.clone(), name: name.into(), period };
                    found.push((account, balance(period, (used, held, last))));
                }
                if size < PAGE || found.len() >= MAX_LIST {
                    break;
                }
            }
            found.sort_by(|a: &(Account, Balance), b| a.0.cmp(&b.0));
            found.truncate(MAX_LIST);
            Ok(found)
        })
    }
}

/// Returns an amount as it is counted: one beyond what is counted exactly passes any limit all the same.
fn amount(claim: &Claim, amount: u64) -> u64 {
    let most = if claim.limit.is_some() { MOST + 1 } else { MOST };
    amount.min(most)
}

/// Returns the refusal with the longest wait.
fn refusal(now: Timestamp, claims: &[Claim], said: &[redis::Value]) -> Result<ReserveError, LedgerError> {
    let mut worst: Option<(usize, Balance, Option<Duration>)> = None;
    for said in said {
        let (index, used, held, last, frees) = read::<(usize, u64, u64, i64, i64)>(said.clone())?;
        let Some(claim) = claims.get(index) else { continue };
        let period = claim.account.period;
        let wait = (frees >= 0).then(|| period.end(frees)).flatten().map(|end| end.since(now));
        let longer = worst.is_none_or(|(_, _, before)| before.is_some_and(|before| wait.is_none_or(|it| it > before)));
        if longer {
            worst = Some((index, balance(period, (used, held, last)), wait));
        }
    }
    let (claim, balance, retry_after) = worst.ok_or_else(|| LedgerError("a script refused nothing".into()))?;
    Ok(ReserveError::Exceeded { claim, balance, retry_after })
}

/// Splits what a script returned into its mark and the rest.
fn rest(said: Vec<redis::Value>) -> Result<(u8, Vec<redis::Value>), LedgerError> {
    let mut said = said.into_iter();
    let mark = said.next().ok_or_else(|| LedgerError("a script returned nothing".into()))?;
    Ok((read(mark)?, said.collect()))
}

/// What is said to a script.
#[derive(Default)]
struct Words {
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Words {
    fn key(&mut self, key: String) -> &mut Self {
        self.keys.push(key);
        self
    }

    fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    async fn say<T: FromRedisValue>(&self, to: &Script, through: &mut ConnectionManager) -> Result<T, LedgerError> {
        let mut call = to.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        for argument in &self.arguments {
            call.arg(argument);
        }
        call.invoke_async(through).await.map_err(|error| failed(&error))
    }
}

fn read<T: FromRedisValue>(value: redis::Value) -> Result<T, LedgerError> {
    redis::from_redis_value(value).map_err(|error| LedgerError(error.to_string()))
}

fn failed(error: &RedisError) -> LedgerError {
    LedgerError(error.to_string())
}
