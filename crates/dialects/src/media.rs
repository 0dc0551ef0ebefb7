//! Images and documents: data URLs and base64.

use crate::{DecodeError, EncodeError};
use base64::{Engine, engine::general_purpose::STANDARD};
use bedplate_core::message::Source;

/// Returns the data URL of a source; a remote address stays what it is, the provider fetches it.
pub(crate) fn url_of(media_type: &str, source: &Source) -> Result<String, EncodeError> {
    match source {
        Source::Base64(data) => Ok(format!("data:{media_type};base64,{data}")),
        Source::Url(url) => Ok(url.clone()),
        Source::Blob(_) => Err(EncodeError::UnresolvedBlob),
    }
}

/// Reads a data URL as media type and base64. Remote addresses are refused: nothing here may fetch them.
pub(crate) fn parse_data_url(url: &str, path: &str) -> Result<(String, Source), DecodeError> {
    let Some(rest) = url.strip_prefix("data:") else {
        return Err(remote_url(path));
    };
    let Some((head, data)) = rest.split_once(',') else {
        return Err(DecodeError::new(path, "the data URL has no comma"));
    };
    let Some(media_type) = head.strip_suffix(";base64") else {
        return Err(DecodeError::new(path, "the data URL is not base64"));
    };
    let media_type = media_type.split(';').next().unwrap_or_default();
    if !media_type.contains('/') {
        return Err(DecodeError::new(path, "the data URL names no media type"));
    }
    Ok((media_type.to_ascii_lowercase(), base64_source(data, path)?))
}

/// Returns base64 as a source, after a check that it is base64 with padding.
pub(crate) fn base64_source(data: &str, path: &str) -> Result<Source, DecodeError> {
    match STANDARD.decode(data) {
        Ok(_) => Ok(Source::Base64(data.to_owned())),
        Err(error) => Err(DecodeError::new(path, format!("not base64: {error}"))),
    }
}

/// Returns the refusal of a remote address.
pub(crate) fn remote_url(path: &str) -> DecodeError {
    DecodeError::new(path, "remote addresses are not fetched: send the bytes as base64 (a data URL)")
}

/// Returns a text as a source.
pub(crate) fn text_source(text: &str) -> Source {
    Source::Base64(STANDARD.encode(text))
}

/// Returns the text that a base64 source holds.
pub(crate) fn text_of(data: &str) -> Option<String> {
    STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_survives_and_a_remote_one_is_refused() {
        let url = "data:image/png;base64,iVBORw==";
        let (media_type, source) = parse_data_url(url, "p").expect("a good data URL");
        assert_eq!((media_type.as_str(), &source), ("image/png", &Source::Base64("iVBORw==".into())));
        assert_eq!(url_of(&media_type, &source).as_deref(), Ok(url));
        for (bad, word) in [
            ("https://10.0.0.1/x.png", "not fetched"),
            ("data:image/png,abc", "not base64"),
            ("data:;base64,AA==", "media type"),
            ("data:image/png;base64,***", "not base64"),
            ("data:image/png;base64", "comma"),
        ] {
            let error = parse_data_url(bad, "messages[0]").expect_err(bad);
            assert!(error.to_string().contains(word) && error.path == "messages[0]", "{bad}: {error}");
        }
    }
}
