//! Requests signed for AWS (Signature Version 4), and the pieces of its addresses.

use crate::config::{AwsKeys, ConfigError};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use bedplate_core::{
    port::model::{ModelError, ModelErrorKind},
    time::Timestamp,
};
use hyper::{
    Uri,
    header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue},
};
use std::time::{Duration, SystemTime};

/// Signs requests to one service in one region.
pub(crate) struct Signer {
    identity: Identity,
    region: String,
    service: &'static str,
}

impl Signer {
    pub(crate) fn new(keys: &AwsKeys, region: &str, service: &'static str) -> Self {
        let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
        let secret = keys.secret_access_key.expose();
        let credentials = Credentials::new(&*keys.access_key_id, secret, token, None, "bedplate");
        Self { identity: credentials.into(), region: region.to_owned(), service }
    }

    /// Adds the headers of the signature. The address is signed as it is sent: AWS encodes a path's escapes once more
    /// before it checks, and so does the signature.
    ///
    /// # Errors
    /// An address or a header that cannot be signed; its text holds neither.
    pub(crate) fn sign(
        &self,
        uri: &Uri,
        headers: &mut HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), ModelError> {
        let failed = |what: &str| {
            ModelError::new(
                ModelErrorKind::InvalidRequest,
                format!("the request to the provider cannot be signed: {what}"),
            )
        };
        let host = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
        headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| failed("its host"))?);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| failed("its parameters"))?
            .into();
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed = [("host", host.as_str()), ("content-type", content_type)];
        let address = uri.to_string();
        let request = SignableRequest::new("POST", address, signed.into_iter(), SignableBody::Bytes(body))
            .map_err(|_| failed("its address"))?;
        let (instructions, _) = sign(request, &params).map_err(|_| failed("its headers"))?.into_parts();
        for (name, value) in instructions.headers() {
            let mut value = HeaderValue::from_str(value).map_err(|_| failed("its headers"))?;
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| failed("its headers"))?;
            headers.insert(name, value);
        }
        Ok(())
    }
}

/// Returns `text` as one segment of a path: all but the unreserved characters escaped, as the SDKs send it.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Refuses a region that would make another host of an address.
pub(crate) fn region(name: &str) -> Result<&str, ConfigError> {
    let fine = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fine { Ok(name) } else { Err(ConfigError::BadRegion(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_id_is_one_segment_of_the_path() {
        assert_eq!(segment("anthropic.claude-3-5-sonnet-20240620-v1:0"), "anthropic.claude-3-5-sonnet-20240620-v1%3A0");
        assert_eq!(
            segment("arn:aws:bedrock:eu-west-1:1:inference-profile/ü"),
            "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2F%C3%BC"
        );
        assert!(region("eu-west-1").is_ok() && region("eu.evil.example/").is_err() && region("").is_err());
    }

    /// The signature that botocore 1.43 makes of the same request; see tests/blackbox/test_outbound.py for a live one.
    #[test]
    fn a_signature_is_made_with_key_date_and_token() {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: Some("tok".into()),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let uri: Uri = "https://bedrock-runtime.us-east-1.amazonaws.com/model/a%3A0/converse".parse().unwrap();
        Signer::new(&keys, "us-east-1", "bedrock")
            .sign(&uri, &mut headers, b"{}", Timestamp(1_440_938_160_000))
            .unwrap();
        assert_eq!(headers["x-amz-date"], "20150830T123600Z");
        assert_eq!(headers["x-amz-security-token"], "tok");
        let authorization = headers["authorization"].to_str().unwrap();
        let begins = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, SignedHeaders=";
        assert!(
            authorization.starts_with(begins) && authorization.contains("content-type;host;x-amz-date"),
            "{authorization}"
        );
        assert!(headers["authorization"].is_sensitive());
    }
}
