//! A model's arguments as parameters of SQL: they stay values, whatever stands in them.
#![no_main]

use bedplate_core::{
    port::{Caller, tools::ToolCall},
    time::Timestamp,
    tool::ToolDefinition,
};
use bedplate_tools::sqlite::Parameters;
use libfuzzer_sys::fuzz_target;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

static TOOL: LazyLock<Arc<ToolDefinition>> = LazyLock::new(|| {
    let tool = json!({
        "name": "look", "description": "d", "input_schema": { "type": "object" }, "kind": "sqlite",
        "timeout_ms": 1000, "max_result_bytes": 1000,
    });
    Arc::new(serde_json::from_value(tool).expect("the tool is a definition"))
});

thread_local! {
    static DATABASE: Connection = {
        let database = Connection::open_in_memory().expect("a database opens in memory");
        database
            .execute_batch("CREATE TABLE t (user TEXT, v TEXT); INSERT INTO t VALUES ('alice', 'hers'), ('bob', 'his')")
            .expect("the table is made");
        database
    };
}

fuzz_target!(|data: &[u8]| {
    let Ok(input) = serde_json::from_slice::<Value>(data) else { return };
    let text = input.get("v").and_then(Value::as_str).map(str::to_owned);
    let call = ToolCall {
        caller: Caller { tenant: Default::default(), user: "alice".to_owned().into(), run: None },
        tool: Arc::clone(&TOOL),
        input,
        idempotency_key: "k".into(),
        deadline: Timestamp(1),
        now: Timestamp(0),
    };
    let parameters = Parameters::of(&call);
    DATABASE.with(|database| {
        // Nothing that a model writes reaches another user's row.
        let sql = "SELECT count(*) FROM t WHERE user = :caller_user AND coalesce(:v, '') IS NOT NULL AND :now = '1970-01-01T00:00:00Z'";
        let mut statement = database.prepare(sql).expect("the query is right");
        parameters.bind(&mut statement).expect("every value binds");
        let found: i64 = statement.raw_query().next().expect("it runs").expect("it counts").get(0).expect("a number");
        assert_eq!(found, 1);
        // A text comes back as it went in.
        let mut statement = database.prepare("SELECT :v").expect("the query is right");
        parameters.bind(&mut statement).expect("every value binds");
        let mut rows = statement.raw_query();
        let row = rows.next().expect("it runs").expect("there is a row");
        if let Some(text) = text {
            assert_eq!(row.get::<_, String>(0).expect("a text"), text);
        }
    });
});
