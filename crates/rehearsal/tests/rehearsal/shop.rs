//! Customers' questions with the tools of the example project, as its folder declares them.

use super::support::{Stage, ask, calls, spec};
use bedplate_core::tool::ToolSpec;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The example's tools and the two built-in ones; none when the example is not there.
pub fn tools() -> Option<Vec<ToolSpec>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/mangaassist/tools");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no {}", folder.display());
        return None;
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    paths.sort();
    let mut tools: Vec<ToolSpec> = paths
        .iter()
        .map(|path| {
            let file: toml::Value = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            let schema = serde_json::to_value(file.get("input_schema").unwrap()).unwrap();
            spec(path.file_stem().unwrap().to_str().unwrap(), file["description"].as_str().unwrap(), schema)
        })
        .collect();
    tools.push(spec("calculate", "Evaluate an arithmetic expression.", json!({"type": "object", "required": ["expression"], "properties": {"expression": {"type": "string", "description": "The expression, for example (3 + 4) * 2."}}})));
    tools.push(spec("current_time", "Tell the current date and time, in a time zone if one is given.", json!({"type": "object", "properties": {"timezone": {"type": "string", "description": "IANA name of a time zone, for example Asia/Tokyo."}}})));
    Some(tools)
}

#[test]
fn customers_reach_the_right_tool() {
    let Some(tools) = tools() else { return };
    let mut wrong = Vec::new();
    for (question, name, wanted) in [
        ("do you have any cozy cooking manga under 12 dollars", "search_catalogue", json!({"max_price": 12})),
        ("where is my order MA-10023", "order_status", json!({"order_id": "MA-10023"})),
        ("Has ma-10218 shipped yet?", "order_status", json!({"order_id": "ma-10218"})),
        (
            "I want to return MA-10012, the book was damaged",
            "start_return",
            json!({"order_id": "MA-10012", "reason": "damaged"}),
        ),
        (
            "please send MA-10198 back, I changed my mind",
            "start_return",
            json!({"order_id": "MA-10198", "reason": "changed_mind"}),
        ),
        ("what's your return policy?", "store_policy", json!({})),
        ("what does shipping to Canada cost", "store_policy", json!({})),
        ("what are your opening hours", "store_policy", json!({})),
        ("do you sell gift cards?", "store_policy", json!({})),
        ("recommend something like Kaede Mizushiro", "recommend_titles", json!({"author": "Kaede Mizushiro"})),
        ("can you suggest a good horror series", "recommend_titles", json!({"genre": "horror"})),
        (
            "change the address of MA-10040 to 12 Elm Street, Springfield, 62704",
            "change_shipping_address",
            json!({"order_id": "MA-10040", "street": "12 Elm Street", "city": "Springfield", "postal_code": "62704"}),
        ),
        ("show me my orders", "list_my_orders", json!({})),
        ("which of my orders have been delivered?", "list_my_orders", json!({"status": "delivered"})),
        ("How many volumes does Iron Sparrow have?", "title_details", json!({"title": "Iron Sparrow"})),
        ("Tell me about Amazon SageMaker", "search_knowledge", json!({"query": "Amazon SageMaker"})),
        ("what does seinen mean?", "search_knowledge", json!({})),
        ("What is 25 * 47?", "calculate", json!({"expression": "25 * 47"})),
        ("what time is it?", "current_time", json!({})),
        ("any romance that is in stock?", "search_catalogue", json!({"genre": "romance", "in_stock": true})),
    ] {
        let reply = ask(question, &tools);
        let made = calls(&reply);
        let fits = made.len() == 1
            && made[0].name == name
            && wanted.as_object().unwrap().iter().all(|(key, value)| {
                made[0]
                    .input
                    .get(key)
                    .is_some_and(|got| got == value || got.as_f64().is_some() && got.as_f64() == value.as_f64())
            });
        if !fits {
            wrong.push(format!(
                "{question:?}: {}",
                made.iter().map(|call| format!("{} {}", call.name, call.input)).collect::<Vec<_>>().join(", ")
                    + &reply.message.text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_address_without_its_postal_code_is_asked_for() {
    let Some(tools) = tools() else { return };
    let mut stage = Stage::new(tools, |_, input| {
        Ok(json!({"order_id": input["order_id"], "ship_to": "12 Elm Street, Springfield"}))
    });
    let answer = stage.say("change the address of MA-10040 to 12 Elm Street, Springfield");
    assert!(stage.made.is_empty() && answer.contains("postal code"), "{answer} {:?}", stage.made);
    let answer = stage.say("62704");
    assert_eq!(stage.made.len(), 1, "{answer}");
    assert_eq!(stage.made[0].input["postal_code"], "62704");
}

#[test]
fn an_order_is_found_through_the_list_when_no_number_is_given() {
    let Some(tools) = tools() else { return };
    let mut stage = Stage::new(tools, |name, input| match name {
        "list_my_orders" => Ok(
            json!([{"order_id": "MA-10023", "status": "shipped", "total_usd": 18.98}, {"order_id": "MA-10012", "status": "delivered", "total_usd": 9.0}]),
        ),
        "order_status" => {
            Ok(json!([{"order_id": input["order_id"], "status": "shipped", "estimated_arrival": "2026-11-23"}]))
        }
        other => Err(format!("{other} was not expected")),
    });
    let answer = stage.say("where is my last order?");
    assert!(answer.contains("MA-10023") && answer.contains("shipped"), "{answer} {:?}", stage.made);
}

#[test]
fn answers_say_what_the_rows_say() {
    let Some(tools) = tools() else { return };
    let mut stage = Stage::new(tools, |name, _| match name {
        "search_catalogue" => Ok(
            json!([{"title": "Miso Moon", "author": "Kaede Mizushiro", "genre": "food", "price_usd": 9.5, "availability": "in stock"}, {"title": "Two Spoons", "author": "R. Ito", "genre": "food", "price_usd": 11.0, "availability": "sold out"}]),
        ),
        "title_details" => Ok(
            json!([{"title": "Miso Moon", "author": "Kaede Mizushiro", "volumes": 7, "price_usd": 9.5, "released_on": "2021-03-04"}]),
        ),
        "store_policy" => Ok(Value::String("There is no policy on that.".into())),
        other => Err(format!("{other} was not expected")),
    });
    let answer = stage.say("do you have any cooking manga under 12 dollars");
    assert!(
        answer.contains("**Miso Moon** by Kaede Mizushiro")
            && answer.contains("$9.50")
            && answer.contains("sold out")
            && answer.contains('2'),
        "{answer}"
    );
    let answer = stage.say("How many volumes does Miso Moon have?");
    assert!(answer.contains("Miso Moon has 7 volumes"), "{answer}");
    let answer = stage.say("and its price?");
    assert!(answer.contains("$9.50"), "{answer}");
}
