//! Who calls an operation, and which region and account they mean.

use super::{Fault, Params};
use crate::{App, access::Identity};
use axum::http::{HeaderMap, header};
use bedplate_catalog::{Arn, Catalog, Scope, Target};
use bedplate_core::{id::Tenant, time::Timestamp};
use serde_json::Value;

/// A call of an operation.
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) identity: Identity,
    /// The region and account of the credential's scope.
    pub(crate) scope: Scope,
}

impl Call {
    pub(crate) fn new(app: App, identity: Identity, headers: &HeaderMap) -> Self {
        let signature = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        Self { app, identity, scope: signature.and_then(scope_of).unwrap_or_default() }
    }

    pub(crate) fn tenant(&self) -> &Tenant {
        &self.identity.tenant
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        self.app.catalog()
    }

    /// Refuses a credential that is scoped to agents, as workflows go past those; and, where definitions are changed,
    /// one that speaks for a user: definitions belong to those who run the server.
    pub(crate) fn check(&self, changes_definitions: bool) -> Result<(), Fault> {
        let bound = changes_definitions && self.identity.user.is_some();
        if bound || self.identity.agents.is_some() { Err(Fault::denied()) } else { Ok(()) }
    }

    /// Reads the name of a state machine, a version or an alias.
    pub(crate) fn machine_arn(&self, params: &Params, name: &str) -> Result<Arn, Fault> {
        let arn = Arn::parse(params.arn(name)?)?;
        match arn.target {
            Target::Machine(_) | Target::Version(..) | Target::Alias(..) => Ok(arn),
            other => Err(wrong_kind(&other)),
        }
    }
}

/// Returns the error of a name that is of something else.
pub(crate) fn wrong_kind(target: &Target) -> Fault {
    Fault::invalid_arn(format_args!("Resource type not valid in this context: {}", target.kind()))
}

/// Returns the region and account of `AWS4-HMAC-SHA256 Credential=<id>/<date>/<region>/<service>/aws4_request, …`. An
/// access key id of 12 digits is an account, as other emulators take it too.
fn scope_of(authorization: &str) -> Option<Scope> {
    let (_, credential) = authorization.split_once("Credential=")?;
    let mut parts = credential.split([',', ' ']).next()?.split('/');
    let (id, _, region) = (parts.next()?, parts.next()?, parts.next()?);
    let is_region = (1..=32).contains(&region.len()) && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_region {
        return None;
    }
    let is_account = id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    let account = if is_account { id.into() } else { Scope::default().account };
    Some(Scope { region: region.into(), account })
}

/// Returns a time as the service's JSON has it: seconds with their fraction.
pub(crate) fn seconds(at: Timestamp) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact in a float")]
    let seconds = at.0 as f64 / 1000.0;
    seconds.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_of_a_signature_says_region_and_account() {
        let scope = |text: &str| scope_of(text).map(|scope| (scope.region.to_string(), scope.account.to_string()));
        let of = |region: &str, account: &str| Some((region.to_owned(), account.to_owned()));
        let signed =
            "AWS4-HMAC-SHA256 Credential=111111111111/20261120/eu-west-1/states/aws4_request, SignedHeaders=host";
        assert_eq!(scope(signed), of("eu-west-1", "111111111111"));
        assert_eq!(
            scope("AWS4-HMAC-SHA256 Credential=AKIAX/20261120/us-east-1/states/x"),
            of("us-east-1", "000000000000")
        );
        assert_eq!(scope("Bearer x"), None);
        assert_eq!(scope("AWS4-HMAC-SHA256 Credential=a/b/c:d/e"), None, "it would break every name");
    }
}
