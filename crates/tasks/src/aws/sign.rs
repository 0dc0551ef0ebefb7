//! Signature Version 4 of AWS: who makes a request.

use bedplate_core::time::Timestamp;
use hyper::header::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use url::Url;

/// Whoever signs.
#[derive(Clone)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

/// For what a request is signed.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
    pub now: Timestamp,
}

/// Adds the headers of a signature to `headers`. The request goes with exactly these headers, besides `host`.
pub fn sign(
    credentials: &Credentials,
    scope: Scope<'_>,
    method: &str,
    url: &Url,
    headers: &mut HeaderMap,
    body: &[u8],
) {
    let (date, time) = stamp(scope.now);
    let hash = hex(&Sha256::digest(body));
    set(headers, "x-amz-date", &time);
    set(headers, "x-amz-content-sha256", &hash);
    if let Some(token) = &credentials.session_token {
        set(headers, "x-amz-security-token", token);
    }
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut signed: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).trim().to_owned()))
        .collect();
    signed.push(("host".to_owned(), host));
    signed.sort();
    let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().fold(String::new(), |lines, (name, value)| lines + name + ":" + value + "\n");
    let mut query: Vec<&str> = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    // The path of S3 is signed as it goes; those of the other services are "/".
    let request = format!("{method}\n{}\n{}\n{lines}\n{names}\n{hash}", url.path(), query.join("&"));
    let within = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{within}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let mut key = hmac(format!("AWS4{}", credentials.secret_access_key).as_bytes(), date.as_bytes());
    for part in [scope.region, scope.service, "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    let signature = hex(&hmac(&key, text.as_bytes()));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{within}, SignedHeaders={names}, Signature={signature}",
        credentials.access_key_id
    );
    set(headers, "authorization", &value);
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // A credential that no header can carry leaves the request unsigned, which the service then says.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// Returns the date and the time as signatures write them.
fn stamp(now: Timestamp) -> (String, String) {
    let at = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string();
    (at.chars().take(8).collect(), at)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_documentation() {
        // The GET Object example of "Signature Calculations for the Authorization Header" of the S3 API reference.
        let credentials = Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let scope = Scope { region: "us-east-1", service: "s3", now: Timestamp(1_369_353_600_000) };
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").expect("an address");
        let mut headers = HeaderMap::new();
        headers.insert("range", HeaderValue::from_static("bytes=0-9"));
        sign(&credentials, scope, "GET", &url, &mut headers, b"");
        let value = headers["authorization"].to_str().expect("a text");
        let expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert!(value.ends_with(expected), "{value}");
        assert!(value.contains("SignedHeaders=host;range;x-amz-content-sha256;x-amz-date"), "{value}");
    }
}
