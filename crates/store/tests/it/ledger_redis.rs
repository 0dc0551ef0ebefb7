//! The ledger in Redis keeps every promise of the port, also between servers. Without `redis-server` nothing is tested.

use bedplate_core::{
    id::Tenant,
    port::ledger::{Ledger, Period, ReserveError},
    time::Timestamp,
};
use bedplate_store::{RedisLedger, RedisOptions};
use bedplate_testkit::conformance::{
    self,
    ledger::{account, claim},
};
use std::{
    future::ready,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

const NOW: Timestamp = Timestamp(1_795_168_800_000);

/// A server of its own on a free port of this machine, gone with the test.
struct Server {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Returns a server that answers; none where there is no such program.
    async fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()])
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            eprintln!("redis-server is not installed: the ledger in Redis is not tested");
            return None;
        };
        let server = Self { process, port, _folder: folder };
        for _ in 0..600 {
            if server.ledger("check").check().await.is_ok() {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("redis-server did not answer");
    }

    fn ledger(&self, prefix: &str) -> RedisLedger {
        RedisLedger::open(RedisOptions {
            url: format!("redis://127.0.0.1:{}/0", self.port),
            prefix: prefix.into(),
            timeout: Duration::from_secs(20),
        })
        .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn the_redis_adapter_keeps_the_promises_of_the_ledger() {
    let Some(server) = Server::start().await else { return };
    let number = AtomicU32::new(0);
    conformance::ledger::all(|| {
        let prefix = format!("test{}", number.fetch_add(1, Ordering::Relaxed));
        ready(Arc::new(server.ledger(&prefix)) as Arc<dyn Ledger>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_reserve_at_once_never_pass_a_limit_together() {
    let Some(server) = Server::start().await else { return };
    let servers: Vec<_> = (0..4)
        .map(|_| {
            let ledger = server.ledger("shared");
            tokio::spawn(async move {
                let mut through = 0;
                for _ in 0..150 {
                    let claims = vec![claim("requests", Period::Minute, 1, 200), claim("day", Period::Day, 3, 10_000)];
                    match ledger.reserve(NOW, claims).await {
                        Ok(held) => {
                            ledger.settle(held, vec![1, 2]).await.unwrap();
                            through += 1;
                        }
                        Err(ReserveError::Exceeded { claim, .. }) => assert_eq!(claim, 0),
                        Err(error) => panic!("{error}"),
                    }
                }
                through
            })
        })
        .collect();
    let mut through = 0;
    for server in servers {
        through += server.await.unwrap();
    }
    assert_eq!(through, 200);
    let found = server.ledger("shared").balances(NOW, &Tenant::default(), "").await.unwrap();
    let found: Vec<_> = found.into_iter().map(|(account, balance)| (account, balance.used, balance.held)).collect();
    assert_eq!(found, [(account("day", Period::Day), 400, 0), (account("requests", Period::Minute), 200, 0)]);
}

#[tokio::test]
async fn many_accounts_are_listed_page_by_page_and_no_name_of_a_tenant_is_another() {
    let Some(server) = Server::start().await else { return };
    let ledger = server.ledger("list");
    for index in 0..1_203 {
        let claims =
            vec![claim(&format!("budget/a/{index}"), Period::Month, 1, 10), claim("other", Period::Day, 1, 9_999)];
        let held = ledger.reserve(NOW, claims).await.unwrap();
        ledger.settle(held, vec![1, 0]).await.unwrap();
    }
    let found = ledger.balances(NOW, &Tenant::default(), "budget/a/").await.unwrap();
    assert_eq!(found.len(), 1_203);
    assert!(found.windows(2).all(|two| two[0].0 < two[1].0), "sorted, each once");
    for (one, other) in [("a}b", "a%7db"), ("{a", "%7ba")] {
        let mut theirs = claim("x", Period::Day, 1, 1);
        theirs.account.tenant = one.into();
        let held = ledger.reserve(NOW, vec![theirs]).await.unwrap();
        ledger.settle(held, vec![1]).await.unwrap();
        assert_eq!(ledger.balances(NOW, &other.into(), "").await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_ledger_that_is_away_is_an_error_and_one_that_comes_back_is_used_again() {
    let Some(mut server) = Server::start().await else { return };
    let ledger = RedisLedger::open(RedisOptions {
        url: format!("redis://127.0.0.1:{}/0", server.port),
        prefix: "away".into(),
        timeout: Duration::from_secs(5),
    })
    .unwrap();
    let one = || ledger.reserve(NOW, vec![claim("a", Period::Day, 1, 10)]);
    drop(one().await.unwrap());
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    assert!(matches!(one().await, Err(ReserveError::Ledger(_))), "it is away");
    server.process = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port", &server.port.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut tries = 0;
    while one().await.is_err() {
        tries += 1;
        assert!(tries < 200, "it did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_reserved_for_a_caller_that_went_away_is_given_back() {
    let Some(server) = Server::start().await else { return };
    let patient = server.ledger("gone");
    let hasty = RedisLedger::open(RedisOptions {
        url: format!("redis://127.0.0.1:{}/0", server.port),
        prefix: "gone".into(),
        timeout: Duration::from_millis(200),
    })
    .unwrap();
    let one = |ledger: &RedisLedger| ledger.reserve(NOW, vec![claim("a", Period::Month, 10, 1_000)]);
    // Both are connected, and Redis knows the scripts.
    for ledger in [&patient, &hasty] {
        let held = one(ledger).await.unwrap();
        ledger.settle(held, vec![1]).await.unwrap();
    }
    let paused = Command::new("redis-cli").args(["-p", &server.port.to_string(), "client", "pause", "1500"]).output();
    if !paused.is_ok_and(|paused| paused.status.success()) {
        eprintln!("redis-cli is not installed: this is not tested");
        return;
    }
    let hung_up = tokio::time::timeout(Duration::from_millis(50), one(&patient)).await;
    assert!(hung_up.is_err(), "Redis rests");
    assert!(matches!(one(&hasty).await, Err(ReserveError::Ledger(_))), "its own time is over");
    // A reservation that is kept comes after the two, which have been made by then.
    let held = one(&patient).await.unwrap();
    let mut tries = 0;
    loop {
        let found = patient.balances(NOW, &Tenant::default(), "").await.unwrap();
        if (found[0].1.used, found[0].1.held) == (2, 10) {
            break;
        }
        tries += 1;
        assert!(tries < 100, "what nobody waited for is still held: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    patient.settle(held, vec![0]).await.unwrap();
}
