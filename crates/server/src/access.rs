//! Who is let in: the source of a request (host, origin) and its credential.

use crate::{App, error::ApiError, inward::Acting, key, said::Said, sigv4::Signed};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts, uri::Authority},
};
use bedplate_core::{
    id::{Tenant, UserId},
    port::{Caller, keys::ApiKey},
};
use std::net::IpAddr;

/// The rule of who is let in.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Host names beside loopback ones under which the server may be addressed while it is open.
    pub hosts: Vec<String>,
    /// Origins beside loopback ones whose pages may call it.
    pub origins: Vec<String>,
    /// The token that the command line finds in the data folder; it may do everything.
    pub admin_token: Option<String>,
    /// Whether a request without a key is let in while no key exists; only ever on loopback.
    pub open_without_keys: bool,
}

impl Access {
    /// Refuses a request that a foreign page or a rebound name may have sent.
    ///
    /// A browser sends `Origin` with what a page does and `Host` with the name that the page's address has; a page
    /// elsewhere, or a name that somebody pointed at this machine, is recognised by them (DNS rebinding). Where every
    /// request needs a key, a rebound name gains nothing, and the server is reached under names that it does not know.
    pub(crate) fn check_source(&self, method: &Method, headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
        if self.open_without_keys && !self.allows_hosts(headers, uri) {
            return Err(ApiError::forbidden("foreign_host", "this server is not addressed by that host name")
                .hint("name the host in [server] allowed_hosts"));
        }
        let foreign = match headers.get(header::ORIGIN) {
            Some(origin) => !self.allows_origin(origin),
            None => is_of_foreign_page(method, headers),
        };
        if foreign {
            return Err(ApiError::forbidden("foreign_origin", "pages of that origin may not call this server")
                .hint("name the origin in [server] allowed_origins"));
        }
        Ok(())
    }

    /// Returns whether the request says one host at most in each of the places where it can, and each is allowed.
    fn allows_hosts(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let mut said = headers.get_all(header::HOST).iter();
        let (host, second) = (said.next(), said.next());
        let authority = uri.authority().map(Authority::as_str);
        let host_is_good = match host {
            Some(host) => host.to_str().is_ok_and(|host| self.allows_host(host)),
            None => authority.is_some(),
        };
        second.is_none() && host_is_good && authority.is_none_or(|authority| self.allows_host(authority))
    }

    pub(crate) fn allows_origin(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(is_loopback) || self.origins.iter().any(|allowed| allowed == origin)
    }

    fn allows_host(&self, host: &str) -> bool {
        is_loopback(host)
            || self
                .hosts
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(without_port(host)))
    }
}

/// Returns whether a browser says that a page of another site sent this, when it does not say which. A link to the page
/// itself is no call; an image, a script, a frame or a form is one.
fn is_of_foreign_page(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said.as_bytes() == value.as_bytes());
    let is_link = matches!(*method, Method::GET | Method::HEAD) && says("sec-fetch-dest", "document");
    says("sec-fetch-site", "cross-site") && !is_link
}

/// Returns whether `host`, with or without a port, names this machine's loopback.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !is_bare_v6(host) => name,
        _ => host,
    }
}

fn is_bare_v6(host: &str) -> bool {
    !host.starts_with('[') && host.matches(':').count() > 1
}

/// Whom a request speaks for, as its credential says.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The tenant.
    pub tenant: Tenant,
    /// The user that the key is bound to.
    pub user: Option<UserId>,
    /// The agents that the key may use; none: all.
    pub agents: Option<Vec<String>>,
    /// Whether it may manage keys.
    pub admin: bool,
    /// The id of the key; none for the administrator and in open mode.
    pub key: Option<String>,
    /// The team that the key belongs to.
    pub team: Option<String>,
    /// What the request's headers say about the call.
    pub(crate) said: Said,
}

impl Identity {
    /// Returns the user that a request speaks for, of what it asks for and what its credential allows.
    pub(crate) fn user(&self, requested: Option<&str>) -> Result<UserId, ApiError> {
        match (&self.user, requested) {
            (Some(bound), Some(requested)) if bound.as_str() != requested => {
                Err(ApiError::forbidden("user_mismatch", "this key speaks for another user"))
            }
            (Some(bound), _) => Ok(bound.clone()),
            (None, Some(requested)) => Ok(UserId::from(crate::extract::identifier("user_id", requested)?)),
            (None, None) => Ok(UserId::from("anonymous")),
        }
    }

    /// Returns on whose behalf a plain model call of this request is made.
    pub(crate) fn caller(&self) -> Result<Caller, ApiError> {
        Ok(Caller { user: self.user(self.said.user.as_deref())?, ..self.caller_of_anybody() })
    }

    /// Returns what is known of the caller beside the user.
    pub(crate) fn caller_of_anybody(&self) -> Caller {
        let said = self.said.clone();
        Caller {
            tenant: self.tenant.clone(),
            user: UserId::from("anonymous"),
            run: None,
            key: self.key.clone(),
            team: self.team.clone(),
            agent: None,
            session: said.session,
            tags: said.tags,
            jurisdiction: said.jurisdiction,
            priority: said.priority,
            cache: said.cache,
        }
    }

    fn administrator(said: Said) -> Self {
        Self { tenant: Tenant::default(), user: None, agents: None, admin: true, key: None, team: None, said }
    }

    fn of_key(key: ApiKey, said: Said) -> Self {
        Self {
            tenant: key.tenant,
            user: key.user,
            agents: key.agents,
            admin: false,
            key: Some(key.id),
            team: key.team,
            said,
        }
    }

    /// Returns who does what this request does, for the journal: the bound user, or whoever runs the server.
    pub(crate) fn actor(&self) -> UserId {
        self.user.clone().unwrap_or_else(|| UserId::from("operator"))
    }

    /// Returns the user that a list is narrowed to: the bound one, or the requested one, or none.
    pub(crate) fn user_filter(&self, requested: Option<&str>) -> Result<Option<UserId>, ApiError> {
        if self.user.is_none() && requested.is_none() { Ok(None) } else { self.user(requested).map(Some) }
    }

    /// Refuses an agent that the key may not use.
    pub(crate) fn check_agent(&self, agent: &str) -> Result<(), ApiError> {
        match &self.agents {
            Some(agents) if !agents.iter().any(|allowed| allowed == agent) => {
                Err(ApiError::forbidden("agent_not_allowed", "this key may not use that agent"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses calls of a model itself to a key that is scoped to agents: they would go past its agents.
    pub(crate) fn check_models(&self) -> Result<(), ApiError> {
        match self.agents {
            Some(_) => Err(ApiError::forbidden(
                "agent_not_allowed",
                "a key that is scoped to agents may not call models itself",
            )),
            None => Ok(()),
        }
    }

    /// Refuses a yes to a question from a key that speaks for one user: whoever asks for a thing does not approve it.
    pub(crate) fn check_approver(&self) -> Result<(), ApiError> {
        match self.user {
            Some(_) => Err(ApiError::forbidden("not_an_approver", "a key that speaks for a user may not approve")
                .hint("approve with a key that is not bound to a user, or with `bedplate runs answer`")),
            None => Ok(()),
        }
    }

    /// Refuses the figures of the whole server to a key that speaks for one user, or is scoped to agents.
    pub(crate) fn check_watcher(&self) -> Result<(), ApiError> {
        if self.user.is_none() && self.agents.is_none() {
            return Ok(());
        }
        let message = "a key that speaks for a user or is scoped to agents may not read what the server counts";
        Err(ApiError::forbidden("not_a_watcher", message).hint("use a key without a user and without agents"))
    }

    /// Refuses what only the administrator may do.
    pub(crate) fn check_admin(&self) -> Result<(), ApiError> {
        if self.admin {
            return Ok(());
        }
        Err(ApiError::forbidden("admin_only", "only the administrator may do this")
            .hint("use the command line on the machine that runs the server"))
    }

    /// Returns whether this identity may see what belongs to `user` and `agent`.
    pub(crate) fn sees(&self, user: &UserId, agent: &str) -> bool {
        self.sees_user(user) && self.check_agent(agent).is_ok()
    }

    /// Returns whether this identity may see what belongs to `user` and to no agent.
    pub(crate) fn sees_user(&self, user: &UserId) -> bool {
        self.user.as_ref().is_none_or(|bound| bound == user)
    }
}

impl FromRequestParts<App> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let access = &app.0.options.access;
        let said = Said::of(&parts.headers)?;
        if let Some(Acting(identity)) = parts.extensions.get() {
            return Ok(identity.clone());
        }
        if let Some(Signed(key)) = parts.extensions.get() {
            return Ok(Self::of_key(key.clone(), said));
        }
        let given = credentials(&parts.headers);
        if let Some(token) = &access.admin_token
            && given.clone().any(|given| blake3::hash(given.as_bytes()) == blake3::hash(token.as_bytes()))
        {
            return Ok(Self::administrator(said));
        }
        if let Some((id, secret)) = given.clone().find_map(key::parse) {
            return of_key(app, id, secret, said).await;
        }
        if access.open_without_keys {
            let any = app.keys().any(app.now()).await.map_err(|error| ApiError::store(&error))?;
            if !any {
                return Ok(Self::administrator(said));
            }
        }
        Err(match given.clone().next() {
            Some(_) => unauthorized("this is not a key of this server"),
            None => unauthorized("a key is needed")
                .aws("MissingAuthenticationTokenException")
                .hint("send it as x-api-key; `bedplate keys create` makes one"),
        })
    }
}

async fn of_key(app: &App, id: &str, secret: &str, said: Said) -> Result<Identity, ApiError> {
    let found = app.keys().get(id).await.map_err(|error| ApiError::store(&error))?;
    let Some((key, _)) = found.filter(|(_, hash)| app.0.options.pepper.matches(secret, hash)) else {
        return Err(unauthorized("this is not a key of this server"));
    };
    let now = app.now();
    if key.revoked_at.is_some() {
        return Err(unauthorized("this key was revoked"));
    }
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err(unauthorized("this key has expired"));
    }
    Ok(Identity::of_key(key, said))
}

fn unauthorized(message: &'static str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
}

/// Returns what a request carries that may be a key, in whichever of the headers that clients use for one.
fn credentials(headers: &HeaderMap) -> impl Iterator<Item = &str> + Clone {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(rest)
    });
    [text("x-api-key"), bearer].into_iter().flatten().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_pointed_at_this_machine_is_refused() {
        for host in ["localhost", "localhost:80", "127.0.0.1:7878", "[::1]:7878", "127.8.8.8", "app.localhost:1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "192.168.1.4", "0.0.0.0:1"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_page_elsewhere_may_not_call_unless_named() {
        let access = Access { origins: vec!["https://shop.example".into()], ..Access::default() };
        let allows = |origin: &'static str| access.allows_origin(&HeaderValue::from_static(origin));
        assert!(allows("http://localhost:5173") && allows("https://shop.example"));
        assert!(!allows("https://evil.example") && !allows("null") && !allows("http://localhost.evil.example"));
    }

    fn open() -> Access {
        Access { open_without_keys: true, ..Access::default() }
    }

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        given
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn code(
        access: &Access,
        method: &Method,
        given: &[(&'static str, &'static str)],
        uri: &'static str,
    ) -> Option<&'static str> {
        let mut all = HeaderMap::new();
        for (name, value) in given {
            all.append(*name, HeaderValue::from_static(value));
        }
        access.check_source(method, &all, &Uri::from_static(uri)).err().map(|error| error.code)
    }

    #[test]
    fn a_foreign_host_hides_behind_no_second_one() {
        let refused = Some("foreign_host");
        assert_eq!(code(&open(), &Method::GET, &[("host", "localhost")], "/"), None);
        assert_eq!(code(&open(), &Method::GET, &[], "http://localhost/"), None, "HTTP/2 says it in the address");
        assert_eq!(code(&open(), &Method::GET, &[("host", "localhost"), ("host", "evil.example")], "/"), refused);
        assert_eq!(code(&open(), &Method::GET, &[("host", "localhost")], "http://evil.example/"), refused);
        assert_eq!(code(&open(), &Method::GET, &[], "/"), refused);
        // Where every request needs a key, the server has names that it does not know.
        assert_eq!(code(&Access::default(), &Method::GET, &[("host", "bedplate.lan:7878")], "/"), None);
    }

    #[test]
    fn a_page_of_another_site_cannot_leave_its_origin_out() {
        let from = |site: &'static str, dest: &'static str| {
            [("host", "localhost"), ("sec-fetch-site", site), ("sec-fetch-dest", dest)]
        };
        let refused = Some("foreign_origin");
        assert_eq!(code(&open(), &Method::POST, &from("cross-site", "document"), "/agent"), refused, "a form");
        assert_eq!(code(&open(), &Method::GET, &from("cross-site", "image"), "/v1/runs"), refused);
        assert_eq!(code(&open(), &Method::GET, &from("cross-site", "iframe"), "/"), refused);
        assert_eq!(code(&open(), &Method::GET, &from("cross-site", "document"), "/"), None, "a link to the page");
        assert_eq!(code(&open(), &Method::GET, &from("none", "document"), "/"), None, "an address that was typed");
        assert_eq!(code(&open(), &Method::POST, &from("same-origin", "empty"), "/agent"), None);
    }

    #[test]
    fn a_key_is_found_in_either_header_and_under_any_spelling_of_the_scheme() {
        let found = |given| credentials(&headers(given)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(found(&[("authorization", "bearer  k ")]), ["k"]);
        assert_eq!(found(&[("x-api-key", "a"), ("authorization", "Bearer b")]), ["a", "b"]);
        assert!(found(&[("x-api-key", ""), ("authorization", "AWS4-HMAC-SHA256 Credential=x")]).is_empty());
    }
}
