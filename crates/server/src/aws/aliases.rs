//! Aliases: CreateStateMachineAlias, DescribeStateMachineAlias, UpdateStateMachineAlias, DeleteStateMachineAlias,
//! ListStateMachineAliases.

use super::{Call, Fault, Params, call::seconds, paging, params, state_machines::machine_fault};
use bedplate_catalog::{AliasError, AliasUpdate, Arn, NewAlias, Route, Scope, Target};
use serde_json::{Value, json};

const LIST: &str = "ListStateMachineAliases";

pub(super) async fn create(call: &Call, params: &Params) -> Result<Value, Fault> {
    let name = params.required("name", 1..=80)?;
    let routing = routing(params)?.ok_or_else(|| params::missing("routingConfiguration"))?;
    let description = params.text("description", 0..=256)?.map(ToOwned::to_owned);
    let new = NewAlias { name: name.to_owned(), description, machine: routing.machine.clone(), routes: routing.routes };
    let alias = call.catalog().create_alias(call.tenant(), &routing.scope, new).await;
    let arn = routing.scope.alias(&routing.machine, name);
    let alias = alias.map_err(|error| fault(error, &arn))?;
    Ok(json!({ "stateMachineAliasArn": arn, "creationDate": seconds(alias.created_at) }))
}

pub(super) async fn describe(call: &Call, params: &Params) -> Result<Value, Fault> {
    let named = named(call, params)?;
    let alias = call.catalog().alias(call.tenant(), &named.scope, &named.machine, &named.alias).await;
    let alias = alias.map_err(|error| fault(error, named.arn))?;
    let routes = alias.routes.iter().map(|route| {
        json!({
            "stateMachineVersionArn": named.scope.version(&named.machine, route.version),
            "weight": route.weight,
        })
    });
    let mut reply = json!({
        "stateMachineAliasArn": named.arn,
        "name": alias.name,
        "routingConfiguration": routes.collect::<Vec<Value>>(),
        "creationDate": seconds(alias.created_at),
        "updateDate": seconds(alias.updated_at),
    });
    if let Some(description) = alias.description {
        reply["description"] = description.into();
    }
    Ok(reply)
}

pub(super) async fn update(call: &Call, params: &Params) -> Result<Value, Fault> {
    let named = named(call, params)?;
    let routing = routing(params)?;
    if routing.as_ref().is_some_and(|routing| routing.machine != named.machine) {
        return Err(Fault::validation("the routing configuration leads to another state machine"));
    }
    let description = params.text("description", 0..=256)?.map(ToOwned::to_owned);
    if routing.is_none() && description.is_none() {
        return Err(Fault::validation("Either RoutingConfiguration or Description must be specified"));
    }
    let update = AliasUpdate { description, routes: routing.map(|routing| routing.routes) };
    let alias = call.catalog().update_alias(call.tenant(), &named.scope, &named.machine, &named.alias, update).await;
    let alias = alias.map_err(|error| fault(error, named.arn))?;
    Ok(json!({ "updateDate": seconds(alias.updated_at) }))
}

pub(super) async fn delete(call: &Call, params: &Params) -> Result<Value, Fault> {
    let named = named(call, params)?;
    call.catalog().delete_alias(call.tenant(), &named.scope, &named.machine, &named.alias).await?;
    Ok(json!({}))
}

pub(super) async fn list(call: &Call, params: &Params) -> Result<Value, Fault> {
    let said = params.arn("stateMachineArn")?;
    let arn = call.machine_arn(params, "stateMachineArn")?;
    let query = paging::query(params, LIST)?;
    let (machine, version) = match &arn.target {
        Target::Version(machine, number) => (machine, Some(*number)),
        Target::Machine(machine) => (machine, None),
        other => return Err(super::call::wrong_kind(other)),
    };
    call.catalog().machine(call.tenant(), &arn.scope, machine).await.map_err(|error| machine_fault(error, said))?;
    let page = call.catalog().aliases(call.tenant(), &arn.scope, machine, version, query).await?;
    let items = page.items.iter().map(|alias| {
        json!({
            "stateMachineAliasArn": arn.scope.alias(machine, &alias.name),
            "creationDate": seconds(alias.created_at),
        })
    });
    Ok(paging::reply("stateMachineAliases", items.collect(), LIST, page.next.as_deref()))
}

/// An alias that a call names.
struct Named<'p> {
    arn: &'p str,
    scope: Scope,
    machine: String,
    alias: String,
}

fn named<'p>(call: &Call, params: &'p Params) -> Result<Named<'p>, Fault> {
    let said = params.arn("stateMachineAliasArn")?;
    let arn = call.machine_arn(params, "stateMachineAliasArn")?;
    match arn.target {
        Target::Alias(machine, alias) => Ok(Named { arn: said, scope: arn.scope, machine, alias }),
        _ => Err(Fault::validation(format_args!("'{said}' is not the ARN of an alias"))),
    }
}

/// Where an alias is to lead.
struct Routing {
    scope: Scope,
    machine: String,
    routes: Vec<Route>,
}

fn routing(params: &Params) -> Result<Option<Routing>, Fault> {
    let Some(list) = params.list("routingConfiguration")? else { return Ok(None) };
    let mut routing: Option<Routing> = None;
    for item in list {
        let fields =
            item.as_object().ok_or_else(|| params::wrong_type("routingConfiguration", "a list of structures"))?;
        let item = Params::within(fields);
        let said = item.arn("stateMachineVersionArn")?;
        let weight = item.number("weight", 0..=100)?.ok_or_else(|| params::missing("weight"))?;
        let Arn { scope, target } = Arn::parse(said)?;
        let Target::Version(machine, version) = target else {
            return Err(Fault::validation(format_args!(
                "Routing configuration must contain state machine version ARNs. Received: [{said}]"
            )));
        };
        let routing = routing.get_or_insert_with(|| Routing { scope, machine: machine.clone(), routes: Vec::new() });
        if routing.machine != machine {
            return Err(Fault::validation("Routing configuration must refer to one state machine"));
        }
        routing.routes.push(Route { version, weight: u32::try_from(weight).unwrap_or(0) });
    }
    routing.map(Some).ok_or_else(|| {
        Fault::constraint("routingConfiguration", "Value '[]'", "Member must have length greater than or equal to 1")
    })
}

fn fault(error: AliasError, arn: &str) -> Fault {
    match error {
        AliasError::Name(name) => Fault::constraint(
            "name",
            format_args!("Value '{name}'"),
            "Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\\-\\.])[a-zA-Z0-9_\\-\\.]+$",
        ),
        AliasError::Routes => Fault::validation("An alias leads to one version, or to two different ones"),
        AliasError::Weights => Fault::validation("Sum of routing configuration weights must equal 100"),
        AliasError::NoVersion(version) => Fault::resource_not_found(&format!(
            "{}:{version}",
            arn.rsplit_once(':').map_or(arn, |(machine, _)| machine)
        )),
        AliasError::Exists => Fault::new(
            "ConflictException",
            format_args!(
                "Failed to create alias because an alias with the same name and a different routing configuration already exists: '{arn}'"
            ),
        ),
        AliasError::NotFound => Fault::resource_not_found(arn),
        AliasError::Contended => Fault::conflict(),
        AliasError::Store(error) => error.into(),
    }
}
