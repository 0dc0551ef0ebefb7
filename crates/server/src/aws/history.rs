//! GetExecutionHistory.

use super::{Call, Fault, Params, call::seconds, executions, paging};
use bedplate_engine::workflow::history::HistoryEvent;
use bedplate_runtime::HistoryQuery;
use serde_json::{Map, Value, json};

const LIST: &str = "GetExecutionHistory";

/// The fields of an event's details that are data of the execution.
const DATA: [&str; 6] = ["input", "output", "parameters", "error", "cause", "assignedVariables"];

pub(super) async fn get(call: &Call, params: &Params) -> Result<Value, Fault> {
    let named = executions::named(call, params)?;
    let reverse = params.flag("reverseOrder")?.unwrap_or(false);
    let with_data = params.flag("includeExecutionData")?.unwrap_or(true);
    let limit = paging::limit(params)?;
    let after = params.text("nextToken", 1..=1024)?.map(|token| after(token, named.said, reverse)).transpose()?;
    executions::view(call, &named).await?;
    let query = HistoryQuery { after, reverse, limit };
    let page = call.app.runtime().execution_history(call.tenant(), named.run, query).await;
    let page = page.map_err(|error| executions::run_fault(&error, named.said))?;
    let mut reply = json!({
        "events": page.events.iter().map(|event| shown(event, with_data)).collect::<Vec<Value>>(),
    });
    if let Some(last) = page.events.last().filter(|_| page.more) {
        reply["nextToken"] = paging::token(LIST, &format!("{} {reverse} {}", named.said, last.id)).into();
    }
    Ok(reply)
}

/// Returns the event that the page before ended with; a token of another execution or direction is refused.
fn after(token: &str, execution: &str, reverse: bool) -> Result<u64, Fault> {
    let said = paging::open(token, LIST)?;
    let id = said.strip_prefix(&format!("{execution} {reverse} ")).and_then(|id| id.parse().ok());
    id.ok_or_else(|| Fault::new("InvalidToken", "Invalid Token: 'Invalid token'"))
}

/// Returns an event as the service tells it.
fn shown(event: &HistoryEvent, with_data: bool) -> Value {
    let mut said = Map::new();
    said.insert("timestamp".into(), seconds(event.timestamp));
    said.insert("type".into(), event.kind.as_str().into());
    said.insert("id".into(), event.id.into());
    said.insert("previousEventId".into(), event.previous_event_id.into());
    if let Some((name, details)) = &event.details {
        let mut details = details.clone();
        if !with_data {
            details.retain(|field, _| !DATA.contains(&field.as_str()));
        }
        said.insert((*name).into(), details.into());
    }
    said.into()
}
