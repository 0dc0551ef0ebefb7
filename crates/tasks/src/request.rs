//! Headers and addresses of the requests that tasks make.

use crate::{
    Shared,
    error::{TASK_FAILED, failed},
};
use bedplate_core::port::tasks::TaskError;
use bedplate_net::Secrets;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use url::Url;

/// Returns headers of a file with their `{secret:NAME}` filled in.
///
/// # Errors
/// When a secret is not set, or a header is none.
pub fn headers(
    shared: &Shared,
    written: &BTreeMap<String, String>,
    secrets: &mut Secrets,
) -> Result<HeaderMap, TaskError> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let mut filled = String::new();
        let mut rest = value.as_str();
        while let Some((before, after)) = rest.split_once("{secret:") {
            let Some((secret_name, after)) = after.split_once('}') else { break };
            filled.push_str(before);
            filled.push_str(&secret(shared, secret_name, secrets)?);
            rest = after;
        }
        filled.push_str(rest);
        insert(&mut headers, name, &filled)?;
    }
    Ok(headers)
}

/// Returns the value of a secret, which from now on nobody reads.
///
/// # Errors
/// When it is not set.
pub fn secret(shared: &Shared, name: &str, secrets: &mut Secrets) -> Result<String, TaskError> {
    let value = (shared.secrets)(name)
        .ok_or_else(|| failed(TASK_FAILED, format!("the secret {name} is not set in the environment")))?;
    secrets.add(name, &value);
    Ok(value)
}

/// Sets a header.
///
/// # Errors
/// When the name or value cannot be one.
pub fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), TaskError> {
    let bad = || failed(TASK_FAILED, format!("the header {name:?} has a name or value that no header can have"));
    let name_ = HeaderName::try_from(name).map_err(|_| bad())?;
    headers.insert(name_, HeaderValue::try_from(value).map_err(|_| bad())?);
    Ok(())
}

/// Returns `host:port` of an address.
pub fn authority(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}
