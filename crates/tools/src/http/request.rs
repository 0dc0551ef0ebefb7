//! From a tool's file and a call's arguments to a request.

use super::{Body, Config};
use crate::kind::config_problem;
use bedplate_core::port::tools::{ToolCall, ToolError, ToolErrorKind};
use bedplate_net::{Outgoing, Secrets, percent_encoded};
use bytes::Bytes;
use hyper::{
    HeaderMap, Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, str::FromStr};
use url::Url;

/// A request that can be sent again and again.
#[derive(Debug)]
pub struct Prepared {
    pub outgoing: Outgoing,
    pub secrets: Secrets,
}

impl Prepared {
    /// Fills the placeholders of `config` for `call`.
    pub fn new(
        config: &Config,
        call: &ToolCall,
        lookup: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> Result<Self, ToolError> {
        if let Some(problem) = check(config).into_iter().next() {
            return Err(config_problem(problem));
        }
        let mut filler = Filler { input: &call.input, lookup, used: BTreeSet::new(), secrets: Secrets::default() };
        let url = filler.url(config)?;
        let headers = filler.headers(config, call)?;
        let body = match config.body {
            Body::Json => Bytes::from(filler.rest().to_string()),
            Body::None => Bytes::new(),
        };
        let method = Method::from_str(&config.method).map_err(|_| config_problem("the method is not valid"))?;
        let mut outgoing = Outgoing { method, url, headers, body, allow_private: config.allow_private.clone() };
        if config.body == Body::Json {
            outgoing.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        Ok(Self { outgoing, secrets: filler.secrets })
    }
}

/// Returns what is wrong with `config` as far as that shows without a call.
pub fn check(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    if Method::from_str(&config.method).is_err() {
        problems.push(format!("http.method: {:?} is no method", config.method));
    }
    let (authority, _) = split(&config.url);
    match Url::parse(authority) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
            problems.push("http.url: it must begin with https:// or http:// and a host".to_owned());
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            problems.push("http.url: it must not hold credentials".to_owned());
        }
        Ok(_) if authority.contains(['{', '}']) => problems.push("http.url: its host must be fixed".to_owned()),
        Ok(_) => {}
        Err(error) => problems.push(format!("http.url: {error}")),
    }
    for name in config.headers.keys() {
        if HeaderName::from_str(name).is_err() {
            problems.push(format!("http.headers: {name:?} is no name of a header"));
        }
    }
    problems
}

/// Returns the names of the secrets that `config` uses, sorted.
pub fn secret_names(config: &Config) -> BTreeSet<String> {
    let texts = config.headers.values().chain(config.query.values());
    let parts = texts.flat_map(|text| pieces(text));
    parts.filter_map(|piece| piece.err().and_then(|name| name.strip_prefix("secret:").map(str::to_owned))).collect()
}

/// Splits an address before its path.
fn split(url: &str) -> (&str, &str) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    url.split_at(end)
}

/// Splits a template into its texts (`Ok`) and the names of its placeholders (`Err`).
fn pieces(text: &str) -> Vec<Result<&str, &str>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        pieces.push(Ok(before));
        pieces.push(Err(name));
        rest = after;
    }
    pieces.push(Ok(rest));
    pieces
}

struct Filler<'a> {
    input: &'a Value,
    lookup: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
    /// The arguments that went somewhere.
    used: BTreeSet<String>,
    secrets: Secrets,
}

impl Filler<'_> {
    fn url(&mut self, config: &Config) -> Result<Url, ToolError> {
        let (authority, rest) = split(&config.url);
        let mut address = authority.to_owned();
        for piece in pieces(rest) {
            match piece {
                Ok(text) => address.push_str(text),
                Err(name) => {
                    let value =
                        self.argument(name).ok_or_else(|| invalid(format!("/{name} is needed for the address")))?;
                    address.push_str(&percent_encoded(&value));
                }
            }
        }
        // A parser takes "." and ".." for steps through the path, however they came together.
        let path = address[authority.len()..].split(['?', '#']).next().unwrap_or_default();
        if path.split('/').any(|part| matches!(part, "." | ".."))
            && !rest.split(['/', '?']).any(|part| matches!(part, "." | ".."))
        {
            return Err(invalid("an argument is no single part of a path"));
        }
        let mut url = Url::parse(&address).map_err(|error| invalid(format!("the address is not valid: {error}")))?;
        for (name, template) in &config.query {
            if let Some(value) = self.text(template)? {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        Ok(url)
    }

    fn headers(&mut self, config: &Config, call: &ToolCall) -> Result<HeaderMap, ToolError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/*;q=0.9, */*;q=0.5"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("bedplate/", env!("CARGO_PKG_VERSION"))));
        for (name, template) in &config.headers {
            let Some(value) = self.text(template)? else { continue };
            let name = HeaderName::from_str(name).map_err(|_| config_problem("a header's name is not valid"))?;
            // The message does not repeat the value, which may be a secret.
            let value = HeaderValue::from_str(&value).map_err(|_| {
                invalid(format!("the value of the header {name} has characters that no header may have"))
            })?;
            headers.insert(name, value);
        }
        if let Ok(key) = HeaderValue::from_str(&call.idempotency_key)
            && !key.is_empty()
        {
            headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        Ok(headers)
    }

    /// Fills a template; none when one of its arguments is absent.
    fn text(&mut self, template: &str) -> Result<Option<String>, ToolError> {
        let mut text = String::new();
        for piece in pieces(template) {
            match (piece, piece.err().and_then(|name| name.strip_prefix("secret:"))) {
                (_, Some(secret)) => {
                    let value = (self.lookup)(secret).filter(|value| !value.is_empty());
                    let value = value.ok_or_else(|| config_problem(format!("the secret {secret} is not set")))?;
                    self.secrets.add(secret, &value);
                    text.push_str(&value);
                }
                (Ok(fixed), None) => text.push_str(fixed),
                (Err(name), None) => match self.argument(name) {
                    Some(value) => text.push_str(&value),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(text))
    }

    fn argument(&mut self, name: &str) -> Option<String> {
        self.used.insert(name.to_owned());
        match self.input.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Returns the arguments that went nowhere else.
    fn rest(&self) -> Value {
        let entries = self.input.as_object().into_iter().flatten();
        let left: Map<String, Value> = entries
            .filter(|(name, _)| !self.used.contains(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Value::Object(left)
    }
}

fn invalid(message: impl Into<String>) -> ToolError {
    ToolError { kind: ToolErrorKind::InvalidInput, message: message.into() }
}
