//! What a request says about its signature, in the `Authorization` header or in the query (a presigned address).

use super::error::Refusal;
use axum::http::{HeaderMap, header};
use bedplate_core::time::Timestamp;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// The one algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far the clocks of a client and this server may be apart, in milliseconds.
const SKEW: i64 = 5 * 60 * 1_000;

/// The longest life of a presigned address, in seconds: seven days.
const MAX_EXPIRES: i64 = 604_800;

/// The longest part of a scope, and of the whole list of headers; in bytes.
const MAX_PART: usize = 128;
const MAX_HEADERS: usize = 4_096;

/// The parameters of a presigned address that are not part of what is signed.
const OWN_PARAMETERS: [&str; 6] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"];

/// Where the signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query, for this many seconds.
    Query {
        /// How long the address is good for.
        expires: i64,
    },
}

/// A signature, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The access key id.
    pub key_id: String,
    /// The region of the scope.
    pub region: String,
    /// The service of the scope.
    pub service: String,
    /// The time of the signature, `20261120T184144Z`.
    pub date: String,
    /// The same as a point in time.
    pub at: Timestamp,
    /// The names of the headers that are signed, in small letters.
    pub signed_headers: Vec<String>,
    /// The signature, 64 hexadecimal digits.
    pub signature: String,
    /// Where it stands.
    pub form: Form,
}

impl Claim {
    /// Reads the signature of a request; none when it has none of this kind.
    ///
    /// # Errors
    /// [`Refusal::Incomplete`] and [`Refusal::Invalid`].
    pub fn of(query: Option<&str>, headers: &HeaderMap) -> Option<Result<Self, Refusal>> {
        let authorization = headers.get(header::AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
        if let Some(rest) = authorization.as_deref().and_then(|text| text.strip_prefix(ALGORITHM)) {
            // `AWS4-HMAC-SHA256-PAYLOAD` and the like are not this algorithm.
            return rest.is_empty().then_some(" ").or(rest.starts_with([' ', '\t']).then_some(rest)).map(|rest| {
                let date = headers.get("x-amz-date").and_then(|value| value.to_str().ok());
                Self::of_header(rest, date)
            });
        }
        let query = query.filter(|query| query.contains("X-Amz-Algorithm="))?;
        Some(Self::of_query(query))
    }

    fn of_header(text: &str, date: Option<&str>) -> Result<Self, Refusal> {
        let parts: BTreeMap<&str, &str> =
            text.split(',').filter_map(|part| part.trim().split_once('=')).map(|(k, v)| (k, v.trim())).collect();
        let mut missing = String::new();
        for name in ["Credential", "Signature", "SignedHeaders"] {
            if parts.get(name).is_none_or(|value| value.is_empty()) {
                missing.push_str(&format!("Authorization header requires '{name}' parameter. "));
            }
        }
        if date.is_none() {
            missing.push_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ");
        }
        let (Some(credential), Some(signature), Some(headers), Some(date), true) =
            (parts.get("Credential"), parts.get("Signature"), parts.get("SignedHeaders"), date, missing.is_empty())
        else {
            return Err(Refusal::Incomplete(missing.trim_end().to_owned()));
        };
        Self::new(credential, signature, headers, date, Form::Header)
    }

    fn of_query(query: &str) -> Result<Self, Refusal> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if OWN_PARAMETERS.contains(&name) {
                let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
                if found.insert(name.to_owned(), value).is_some() {
                    return Err(Refusal::Incomplete(format!("The query has more than one '{name}'.")));
                }
            }
        }
        let mut part = |name: &str| {
            let value = found.remove(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| {
                Refusal::Incomplete(format!(
                    "AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
                ))
            })
        };
        if part("X-Amz-Algorithm")? != ALGORITHM {
            return Err(Refusal::Incomplete(format!("AWS authentication requires the algorithm {ALGORITHM}.")));
        }
        let expires = part("X-Amz-Expires")?.parse().ok().filter(|seconds| (1..=MAX_EXPIRES).contains(seconds));
        let expires = expires.ok_or_else(|| {
            Refusal::Incomplete(format!("X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES}."))
        })?;
        let (credential, signature) = (part("X-Amz-Credential")?, part("X-Amz-Signature")?);
        let (headers, date) = (part("X-Amz-SignedHeaders")?, part("X-Amz-Date")?);
        Self::new(&credential, &signature, &headers, &date, Form::Query { expires })
    }

    fn new(credential: &str, signature: &str, headers: &str, date: &str, form: Form) -> Result<Self, Refusal> {
        let incomplete = |message: &str| Refusal::Incomplete(message.to_owned());
        let at = instant(date).ok_or_else(|| {
            incomplete("Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601")
        })?;
        let scope: Vec<&str> = credential.split('/').collect();
        let [key_id, day, region, service, end] = scope[..] else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            ));
        };
        if [key_id, region, service].into_iter().any(|part| !is_plain(part)) {
            return Err(incomplete("Credential must be made of letters, digits, '-', '_' and '.'."));
        }
        if end != "aws4_request" {
            return Err(Refusal::Invalid(
                "Credential should be scoped with a valid terminator: 'aws4_request'.".into(),
            ));
        }
        if date.get(..8) != Some(day) {
            return Err(Refusal::Invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.".into(),
            ));
        }
        if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::Mismatch);
        }
        let mut signed_headers: Vec<String> =
            headers.split(';').filter(|name| !name.is_empty()).map(str::to_ascii_lowercase).collect();
        signed_headers.dedup();
        if headers.len() > MAX_HEADERS || !signed_headers.iter().any(|name| name == "host") {
            return Err(Refusal::Invalid(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into(),
            ));
        }
        if form == Form::Header && !signed_headers.iter().any(|name| name == "x-amz-date") {
            return Err(Refusal::Invalid("'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.".into()));
        }
        Ok(Self {
            key_id: key_id.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            date: date.to_owned(),
            at,
            signed_headers,
            signature: signature.to_ascii_lowercase(),
            form,
        })
    }

    /// Refuses a signature of another time: older or newer than the clocks may be apart, or an address that has expired.
    ///
    /// # Errors
    /// [`Refusal::Invalid`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let life = match self.form {
            Form::Header => SKEW,
            Form::Query { expires } => expires * 1_000,
        };
        let end = Timestamp(self.at.0.saturating_add(life));
        if now > end {
            let (said, limit) = (&self.date, basic(Timestamp(now.0 - life)));
            return Err(Refusal::Invalid(format!("Signature expired: {said} is now earlier than {limit}")));
        }
        let latest = Timestamp(now.0.saturating_add(SKEW));
        if self.at > latest {
            let (said, limit) = (&self.date, basic(latest));
            return Err(Refusal::Invalid(format!("Signature not yet current: {said} is still later than {limit}")));
        }
        Ok(())
    }

    /// Returns the part of the query that is signed.
    pub(super) fn signed_query(&self, query: &str) -> String {
        let is_signed = |pair: &&str| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            self.form == Form::Header || !OWN_PARAMETERS.contains(&name)
        };
        query.split('&').filter(is_signed).collect::<Vec<_>>().join("&")
    }
}

fn is_plain(part: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_PART).contains(&part.len()) && part.bytes().all(fits)
}

/// Returns the point in time of `20261120T184144Z`.
fn instant(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().enumerate().all(|(place, byte)| match place {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != 16 || !digits {
        return None;
    }
    let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let at = parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp(at.timestamp().as_millisecond()))
}

fn basic(at: Timestamp) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(at.0) else { return "an impossible time".into() };
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const SIGNATURE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn read(authorization: &str) -> Option<Result<Claim, Refusal>> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(authorization).expect("it is visible"));
        headers.insert("x-amz-date", HeaderValue::from_static("20261120T184144Z"));
        Claim::of(None, &headers)
    }

    fn good() -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKBPX/20261120/eu-central-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature={SIGNATURE}"
        )
    }

    #[test]
    fn a_signature_is_read_with_its_scope() {
        let claim = read(&good()).expect("it is one").expect("it is whole");
        assert_eq!((claim.key_id.as_str(), claim.region.as_str()), ("AKBPX", "eu-central-1"));
        assert_eq!((claim.service.as_str(), claim.form), ("bedrock", Form::Header));
        assert_eq!(claim.signed_headers, ["content-type", "host", "x-amz-date"]);
        assert_eq!(claim.at, Timestamp(1_795_200_104_000));
        let packed = good().replace(", ", ",");
        assert_eq!(read(&packed).expect("it is one").expect("it is whole"), claim, "some clients leave the blanks out");
    }

    #[test]
    fn another_credential_is_left_to_others() {
        for other in ["Bearer abc", "Basic eDp5", "AWS4-HMAC-SHA256-PAYLOAD Credential=x", "AWS AKIA:sig"] {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(Claim::of(Some("limit=1"), &HeaderMap::new()), None);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let said = |text: &str| match read(text).expect("it is one") {
            Ok(claim) => panic!("{claim:?}"),
            Err(refusal) => (refusal.exception(), refusal.to_string()),
        };
        let (name, message) = said("AWS4-HMAC-SHA256 Signature=abc");
        assert_eq!(name, "IncompleteSignatureException");
        assert!(message.contains("'Credential'") && message.contains("'SignedHeaders'"), "{message}");
        assert!(!message.contains("'Signature'"), "{message}");
        for (from, to, expected, word) in [
            ("/aws4_request", "", "IncompleteSignatureException", "5 slash-delimited"),
            ("aws4_request", "aws3", "InvalidSignatureException", "terminator"),
            ("/20261120/", "/20261119/", "InvalidSignatureException", "Date in Credential scope"),
            ("host;", "", "InvalidSignatureException", "'Host'"),
            (";x-amz-date", "", "InvalidSignatureException", "'X-Amz-Date'"),
            ("0123", "xyz", "InvalidSignatureException", "does not match"),
            ("eu-central-1", "eu central", "IncompleteSignatureException", "letters"),
        ] {
            let (name, message) = said(&good().replacen(from, to, 1));
            assert!(name == expected && message.contains(word), "{from} → {to}: {name} {message}");
        }
    }

    #[test]
    fn clocks_may_be_five_minutes_apart() {
        let claim = read(&good()).expect("it is one").expect("it is whole");
        let at = |seconds: i64| claim.check_time(Timestamp(claim.at.0 + seconds * 1_000));
        assert_eq!((at(300), at(-300)), (Ok(()), Ok(())));
        let late = at(301).expect_err("it is too old").to_string();
        assert_eq!(late, "Signature expired: 20261120T184144Z is now earlier than 20261120T184145Z");
        let early = at(-301).expect_err("it is too new").to_string();
        assert_eq!(early, "Signature not yet current: 20261120T184144Z is still later than 20261120T184143Z");
    }

    #[test]
    fn a_presigned_address_lives_as_long_as_it_says() {
        let query = format!(
            "b=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKBPX%2F20261120%2Fus-east-1%2Fbedrock%2Faws4_request\
             &X-Amz-Date=20261120T184144Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature={SIGNATURE}&a=1"
        );
        let claim = |query: &str| Claim::of(Some(query), &HeaderMap::new()).expect("it is one");
        let good = claim(&query).expect("it is whole");
        assert_eq!(good.form, Form::Query { expires: 900 });
        assert_eq!(good.signed_query(&query), "b=2&a=1");
        assert_eq!(good.check_time(Timestamp(good.at.0 + 900_000)), Ok(()));
        assert!(good.check_time(Timestamp(good.at.0 + 901_000)).is_err());
        for (from, to) in [
            ("=900", "=0"),
            ("=900", "=604801"),
            ("=900", "=x"),
            ("X-Amz-Signature", "x"),
            ("&a=1", "&X-Amz-Expires=9"),
        ] {
            assert!(claim(&query.replace(from, to)).is_err(), "{from} → {to}");
        }
    }
}
