//! SQLite tools through the Tools port.

use crate::{DatabaseSpec, Databases, HttpLimits, Options, ToolBox};
use bedplate_core::{
    event::Preparation,
    id::UserId,
    message::ToolResultContent,
    port::{
        Caller,
        tools::{ToolCall, ToolErrorKind, Tools},
    },
    time::Timestamp,
    tool::{Annotations, Approval, ApprovalMode, ToolDefinition, ToolOutput, ToolSpec},
};
use serde_json::{Value, json};
use std::{fs, sync::Arc, time::Duration};
use tempfile::TempDir;

const SCHEMA: &str = "
CREATE TABLE orders (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, total REAL NOT NULL, note TEXT, status TEXT NOT NULL);
CREATE TABLE refunds (order_id TEXT NOT NULL REFERENCES orders (id), amount REAL NOT NULL CHECK (amount > 0), at TEXT NOT NULL);
CREATE VIRTUAL TABLE words USING fts5 (body);
INSERT INTO words VALUES ('a pirate ship'), ('a ninja village');
";

struct Shop {
    tools: ToolBox,
    folder: TempDir,
    specs: Vec<DatabaseSpec>,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("schema.sql"), SCHEMA).unwrap();
        let orders = "id,customer_id,total,note,status\nA1,ann,60.5,,processing\nA2,ann,9,\"x, y\",shipped\nB1,bob,70,,processing\n";
        fs::write(folder.path().join("orders.csv"), orders).unwrap();
        let seed = ["schema.sql", "orders.csv"].map(|file| folder.path().join(file)).to_vec();
        let specs = vec![DatabaseSpec { name: "shop".to_owned(), seed }];
        let databases = Databases::open(&folder.path().join("data"), &specs).unwrap();
        let options = Options {
            databases: Arc::new(databases),
            secrets: Arc::new(|_| None),
            http: HttpLimits::default(),
            workflows: None,
        };
        Self { tools: ToolBox::new(options), folder, specs }
    }

    fn count(&self, sql: &str) -> i64 {
        let file = self.folder.path().join("data/databases/shop.db");
        rusqlite::Connection::open(file).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn tool(read_only: bool, config: Value) -> ToolDefinition {
    ToolDefinition {
        spec: ToolSpec {
            name: "t".to_owned(),
            description: "d".to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": { "id": { "type": "string", "maxLength": 60 }, "n": { "type": "integer" }, "list": { "type": "array" } },
                "additionalProperties": false
            }),
        },
        annotations: Annotations { read_only, ..Annotations::default() },
        approval: Approval::default(),
        kind: "sqlite".to_owned(),
        config,
        timeout_ms: 5_000,
        max_result_bytes: 16_384,
    }
}

fn query(sql: &str) -> ToolDefinition {
    tool(true, json!({ "sqlite": { "database": "shop", "query": sql } }))
}

fn refund() -> ToolDefinition {
    let statements = json!([
        { "sql": "UPDATE orders SET status = 'refunded' WHERE id = :id AND customer_id = :caller_user AND status = 'processing'",
          "changes": 1, "otherwise": "It cannot be refunded." },
        { "sql": "INSERT INTO refunds VALUES (:id, 60.5, :now)" },
    ]);
    let result = "SELECT order_id, amount, at FROM refunds WHERE order_id = :id";
    tool(false, json!({ "sqlite": { "database": "shop", "statements": statements, "result": result } }))
}

fn call(tool: &ToolDefinition, user: &str, input: Value, key: &str) -> ToolCall {
    let now = Timestamp(1_774_746_000_000);
    ToolCall {
        caller: Caller { user: UserId::from(user), ..Caller::default() },
        tool: Arc::new(tool.clone()),
        input,
        idempotency_key: key.to_owned(),
        deadline: now.after(Duration::from_secs(60)),
        now,
    }
}

fn rows(output: &ToolOutput) -> Value {
    match output.content.first() {
        Some(ToolResultContent::Json { json }) => json.clone(),
        other => json!(format!("{other:?}")),
    }
}

fn said(output: &ToolOutput) -> String {
    serde_json::to_string(&output.content).unwrap()
}

const OWN: &str = "SELECT id, total, note FROM orders WHERE id = :id AND customer_id = :caller_user";

#[tokio::test]
async fn a_customer_reaches_only_their_own_orders_whatever_the_arguments_say() {
    let shop = Shop::new();
    let own = query(OWN);
    let output = shop.tools.call(call(&own, "ann", json!({ "id": "A1" }), "k")).await.unwrap();
    assert_eq!(rows(&output), json!([{ "id": "A1", "total": 60.5, "note": null }]));
    for hostile in ["B1", "' OR 1=1 --", "A1'; DROP TABLE orders; --", ":caller_user", "\u{0}", "%"] {
        let output = shop.tools.call(call(&own, "ann", json!({ "id": hostile }), "k")).await.unwrap();
        assert!(said(&output).contains("No rows."), "{hostile}: {}", said(&output));
    }
    let smuggled = shop.tools.call(call(&own, "ann", json!({ "id": "B1", "caller_user": "bob" }), "k")).await;
    assert_eq!(smuggled.unwrap_err().kind, ToolErrorKind::InvalidInput);
    assert_eq!(shop.count("SELECT count(*) FROM orders"), 3);
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_run_and_come_back_with_place_and_schema() {
    let shop = Shop::new();
    for input in [json!({ "id": 5 }), json!({ "n": 1.5 }), json!([]), json!("x"), json!({ "id": "x".repeat(61) })] {
        let error = shop.tools.call(call(&query(OWN), "ann", input.clone(), "k")).await.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::InvalidInput, "{input}");
        assert!(error.message.contains("maxLength"), "{}", error.message);
        assert!(error.message.len() < 6_000);
        let error = shop.tools.prepare(call(&query(OWN), "ann", input, "k")).await.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::InvalidInput);
    }
    let error = shop.tools.call(call(&query(OWN), "ann", json!({ "id": 5 }), "k")).await.unwrap_err();
    assert!(error.message.contains("/id"), "{}", error.message);
}

#[tokio::test]
async fn a_repeated_call_has_one_effect_and_the_first_result() {
    let shop = Shop::new();
    let first = shop.tools.call(call(&refund(), "ann", json!({ "id": "A1" }), "key")).await.unwrap();
    assert_eq!(rows(&first), json!([{ "order_id": "A1", "amount": 60.5, "at": "2026-03-29T01:00:00Z" }]));
    let again = shop.tools.call(call(&refund(), "ann", json!({ "id": "A1" }), "key")).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(shop.count("SELECT count(*) FROM refunds"), 1);
    let other = shop.tools.call(call(&refund(), "ann", json!({ "id": "A1" }), "other key")).await.unwrap();
    assert!(other.is_error && said(&other).contains("It cannot be refunded."));
    assert_eq!(shop.count("SELECT count(*) FROM refunds"), 1);
}

#[tokio::test]
async fn many_attempts_at_once_have_one_effect() {
    let shop = Shop::new();
    let attempts: Vec<_> =
        (0..8).map(|_| tokio::spawn(shop.tools.call(call(&refund(), "ann", json!({ "id": "A1" }), "key")))).collect();
    let mut outputs = Vec::new();
    for attempt in attempts {
        outputs.push(attempt.await.unwrap().unwrap());
    }
    assert!(outputs.iter().all(|output| *output == outputs[0] && !output.is_error));
    assert_eq!(shop.count("SELECT count(*) FROM refunds"), 1);
}

#[tokio::test]
async fn a_refused_or_failed_statement_undoes_the_whole_transaction() {
    let shop = Shop::new();
    let output = shop.tools.call(call(&refund(), "ann", json!({ "id": "B1" }), "k1")).await.unwrap();
    assert!(output.is_error);
    let mut broken = refund();
    broken.config["sqlite"]["statements"][1]["sql"] = json!("INSERT INTO refunds VALUES (:id, -1, :now)");
    let error = shop.tools.call(call(&broken, "ann", json!({ "id": "A1" }), "k2")).await.unwrap_err();
    assert_eq!(error.kind, ToolErrorKind::Failed, "{error}");
    assert_eq!(shop.count("SELECT count(*) FROM orders WHERE status = 'processing'"), 2);
    assert_eq!(shop.count("SELECT count(*) FROM refunds"), 0);
    assert_eq!(shop.count("SELECT count(*) FROM _bedplate_effects"), 0);
    let output = shop.tools.call(call(&refund(), "ann", json!({ "id": "A1" }), "k2")).await.unwrap();
    assert!(!output.is_error, "the same key may succeed after an attempt without effect");
}

#[tokio::test]
async fn a_read_only_tool_cannot_write_neither_at_check_nor_at_run() {
    let shop = Shop::new();
    for sql in [
        "DELETE FROM orders",
        "DELETE FROM orders RETURNING id",
        "WITH x AS (SELECT 1) UPDATE orders SET total = 0",
        "PRAGMA query_only = 0",
        "ATTACH DATABASE '/tmp/x.db' AS x",
        "CREATE TEMP TABLE t (a)",
        "BEGIN IMMEDIATE",
        "VACUUM INTO '/tmp/x.db'",
        "SELECT * FROM _bedplate_effects",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM orders",
        "SELECT * FROM nowhere",
        "not sql",
        "",
    ] {
        let tool = query(sql);
        assert!(!shop.tools.check(&tool).is_empty(), "{sql}");
        let result = shop.tools.call(call(&tool, "ann", json!({}), "k")).await;
        assert!(result.is_err(), "{sql}: {result:?}");
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders"), 3);
    assert_eq!(shop.tools.check(&query(OWN)), Vec::<String>::new());
}

#[tokio::test]
async fn a_writing_tool_changes_rows_and_nothing_else() {
    let shop = Shop::new();
    assert_eq!(shop.tools.check(&refund()), Vec::<String>::new());
    for sql in [
        "DELETE FROM _bedplate_effects",
        "DROP TABLE orders",
        "ALTER TABLE orders ADD COLUMN x",
        "COMMIT",
        "ATTACH DATABASE '/tmp/x.db' AS x",
        "PRAGMA foreign_keys = 0",
        "SELECT 1",
        "UPDATE orders SET total = :unknown",
        "UPDATE orders SET total = ?1",
    ] {
        let tool = tool(false, json!({ "sqlite": { "database": "shop", "statements": [{ "sql": sql }] } }));
        assert!(!shop.tools.check(&tool).is_empty(), "{sql}");
    }
    for sql in ["DELETE FROM _bedplate_effects", "DROP TABLE orders", "COMMIT"] {
        let tool = tool(false, json!({ "sqlite": { "database": "shop", "statements": [{ "sql": sql }] } }));
        assert!(shop.tools.call(call(&tool, "ann", json!({}), "k")).await.is_err(), "{sql}");
    }
    let words = json!([{ "sql": "INSERT INTO words VALUES (:id)" }]);
    let words = tool(false, json!({ "sqlite": { "database": "shop", "statements": words } }));
    shop.tools.call(call(&words, "ann", json!({ "id": "a full text" }), "k")).await.unwrap();
    let find = query("SELECT body FROM words WHERE words MATCH :id");
    let found = shop.tools.call(call(&find, "ann", json!({ "id": "text" }), "k")).await.unwrap();
    assert_eq!(rows(&found), json!([{ "body": "a full text" }]));
}

#[tokio::test]
async fn a_query_that_runs_on_is_stopped() {
    let shop = Shop::new();
    let endless = "WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x";
    let mut tool = query(endless);
    tool.timeout_ms = 150;
    let started = std::time::Instant::now();
    let error = shop.tools.call(call(&tool, "ann", json!({}), "k")).await.unwrap_err();
    assert_eq!(error.kind, ToolErrorKind::Failed);
    assert!(error.message.contains("150 ms") && started.elapsed() < Duration::from_secs(3), "{error}");
}

#[test]
fn dropping_a_call_frees_its_thread() {
    let shop = Shop::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let endless = "WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x";
    runtime.block_on(async {
        let mut tool = query(endless);
        tool.timeout_ms = 60_000;
        let pending = shop.tools.call(call(&tool, "ann", json!({}), "k"));
        assert!(tokio::time::timeout(Duration::from_millis(50), pending).await.is_err());
        // The one blocking thread is free again, or this would wait for a minute.
        let next = shop.tools.call(call(&query(OWN), "ann", json!({ "id": "A1" }), "k"));
        tokio::time::timeout(Duration::from_secs(10), next).await.unwrap().unwrap();
    });
}

#[tokio::test]
async fn long_results_say_how_much_is_missing() {
    let shop = Shop::new();
    let many = "WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x LIMIT 500) SELECT n FROM x";
    let tool = tool(true, json!({ "sqlite": { "database": "shop", "query": many, "max_rows": 20 } }));
    let output = shop.tools.call(call(&tool, "ann", json!({}), "k")).await.unwrap();
    assert_eq!(rows(&output).as_array().map(Vec::len), Some(20));
    assert!(said(&output).contains("480 more rows"), "{}", said(&output));
    let mut small = tool.clone();
    small.max_result_bytes = 100;
    let output = shop.tools.call(call(&small, "ann", json!({}), "k")).await.unwrap();
    assert_eq!(rows(&output).as_array().map(Vec::len), Some(12), "{}", said(&output));
}

#[tokio::test]
async fn the_amount_that_decides_an_approval_comes_from_the_database() {
    let shop = Shop::new();
    let mut tool = refund();
    tool.config["preview"] = json!({
        "database": "shop",
        "query": "SELECT total AS amount FROM orders WHERE id = :id AND customer_id = :caller_user",
        "empty": "There is no such order on this account."
    });
    tool.approval = Approval {
        mode: ApprovalMode::When("preview.amount > 50".to_owned()),
        deadline_seconds: 60,
        question: Some("Refund {{ preview.amount }} for {{ input.id }}?".to_owned()),
    };
    assert_eq!(shop.tools.check(&tool), Vec::<String>::new());
    let prepare = |user: &str, id: &str| shop.tools.prepare(call(&tool, user, json!({ "id": id }), "k"));
    let Preparation::Ask { question, preview } = prepare("ann", "A1").await.unwrap() else { panic!("not asked") };
    assert_eq!((question.as_str(), preview), ("Refund 60.5 for A1?", json!({ "amount": 60.5 })));
    assert_eq!(prepare("ann", "A2").await.unwrap(), Preparation::Run);
    let Preparation::Refuse(output) = prepare("ann", "B1").await.unwrap() else { panic!("not refused") };
    assert!(output.is_error && said(&output).contains("no such order"));
    assert_eq!(shop.count("SELECT count(*) FROM refunds"), 0);

    tool.approval.mode = ApprovalMode::When("preview.missing > 50".to_owned());
    let doubtful = shop.tools.prepare(call(&tool, "ann", json!({ "id": "A2" }), "k")).await.unwrap();
    assert!(matches!(doubtful, Preparation::Ask { question, .. } if question.contains("could not be evaluated")));
}

#[test]
fn a_database_is_built_once_and_a_wrong_seed_names_its_line() {
    let shop = Shop::new();
    let file = shop.folder.path().join("data/databases/shop.db");
    rusqlite::Connection::open(&file).unwrap().execute("DELETE FROM orders", []).unwrap();
    Databases::open(&shop.folder.path().join("data"), &shop.specs).unwrap();
    assert_eq!(shop.count("SELECT count(*) FROM orders"), 0, "an existing database is never rebuilt");
    assert_eq!(shop.count("SELECT count(*) FROM words"), 2);

    let wrong = |name: &str, text: &str| {
        let file = shop.folder.path().join(name);
        fs::write(&file, text).unwrap();
        let mut spec = shop.specs[0].clone();
        spec.name = "other".to_owned();
        spec.seed = vec![spec.seed[0].clone(), file];
        Databases::open(shop.folder.path(), &[spec]).unwrap_err().to_string()
    };
    let error = wrong("orders.csv", "id,customer_id,total,note,status\nA,b,1,,x\nB,,1,,x\n");
    assert!(error.contains("orders.csv: line 3: NOT NULL"), "{error}");
    let error = wrong("more.sql", "CREATE TABLE a (b);\n\nCREATE TABEL c (d);\n");
    assert!(error.contains("more.sql: line 3"), "{error}");
    let error = wrong("nothing.csv", "a\n1\n");
    assert!(error.contains("no such table: nothing"), "{error}");
    assert_eq!(fs::read_dir(shop.folder.path().join("databases")).unwrap().count(), 0, "nothing half-built stays");
}

#[tokio::test]
async fn unknown_kinds_and_databases_are_said_and_do_not_panic() {
    let shop = Shop::new();
    let mut tool = query(OWN);
    tool.config["sqlite"]["database"] = json!("elsewhere");
    assert_eq!(shop.tools.call(call(&tool, "a", json!({}), "k")).await.unwrap_err().kind, ToolErrorKind::Misconfigured);
    assert_eq!(shop.tools.check(&tool).len(), 1);
    tool.kind = "shell".to_owned();
    assert_eq!(shop.tools.call(call(&tool, "a", json!({}), "k")).await.unwrap_err().kind, ToolErrorKind::Misconfigured);
    assert_eq!(
        shop.tools.prepare(call(&tool, "a", json!({}), "k")).await.unwrap_err().kind,
        ToolErrorKind::Misconfigured
    );
}

#[test]
fn a_rehearsal_builds_what_it_can_and_tells_all_that_it_cannot() {
    let shop = Shop::new();
    let broken = |name: &str| DatabaseSpec { name: name.to_owned(), seed: vec![shop.folder.path().join(name)] };
    let folder = tempfile::tempdir().unwrap();
    let specs = [broken("none.sql"), shop.specs[0].clone(), broken("schema.txt")];
    let (databases, errors) = Databases::rehearse(folder.path(), &specs);
    assert_eq!((databases.names().collect::<Vec<_>>(), errors.len()), (vec!["shop"], 2));
    assert_eq!(databases.check_query("shop", OWN, &query(OWN)), Ok(()));
}

#[tokio::test]
async fn a_schema_that_points_elsewhere_is_never_fetched() {
    let shop = Shop::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut tool = query(OWN);
    tool.spec.input_schema = json!({ "$ref": format!("http://{}/schema.json", listener.local_addr().unwrap()) });
    assert_eq!(shop.tools.call(call(&tool, "a", json!({}), "k")).await.unwrap_err().kind, ToolErrorKind::Misconfigured);
    assert!(!shop.tools.check(&tool).is_empty());
    assert!(listener.accept().is_err(), "nobody connected");
    tool.spec.input_schema = json!({ "$ref": "file:///etc/hostname" });
    assert_eq!(shop.tools.call(call(&tool, "a", json!({}), "k")).await.unwrap_err().kind, ToolErrorKind::Misconfigured);
}

#[tokio::test]
async fn an_effect_outlives_the_process_that_had_it() {
    let shop = Shop::new();
    let first = shop.tools.call(call(&refund(), "ann", json!({ "id": "A1" }), "key")).await.unwrap();
    let databases = Databases::open(&shop.folder.path().join("data"), &shop.specs).unwrap();
    let options = Options {
        databases: Arc::new(databases),
        secrets: Arc::new(|_| None),
        http: HttpLimits::default(),
        workflows: None,
    };
    let again = ToolBox::new(options).call(call(&refund(), "ann", json!({ "id": "A1" }), "key")).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(shop.count("SELECT count(*) FROM refunds"), 1);
}
