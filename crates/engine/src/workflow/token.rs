//! Task tokens: opaque and unguessable, and they lead to their run and call without a look-up.
//!
//! A token is the run's id, the call and 32 secret bytes, in base64. The secret is drawn when the task is scheduled and
//! stands in its event; who does not know it cannot answer for the task.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bedplate_core::id::{CallId, RunId};
use std::sync::Arc;

const BYTES: usize = 16 + 8 + 32;

/// Returns the token of a task.
pub(super) fn mint(run: RunId, call: CallId, secret: &[u8; 32]) -> Arc<str> {
    let mut bytes = [0; BYTES];
    bytes[..16].copy_from_slice(&run.0);
    bytes[16..24].copy_from_slice(&call.to_be_bytes());
    bytes[24..].copy_from_slice(secret);
    STANDARD.encode(bytes).into()
}

/// Returns the run and the call that a token names; none when it is none of ours. It proves nothing: the token itself
/// must be compared with the open task's.
#[must_use]
pub fn parse(token: &str) -> Option<(RunId, CallId)> {
    let bytes: [u8; BYTES] = STANDARD.decode(token).ok()?.try_into().ok()?;
    let (run, rest) = bytes.split_first_chunk::<16>()?;
    let (call, _) = rest.split_first_chunk::<8>()?;
    Some((RunId(*run), CallId::from_be_bytes(*call)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_its_run_and_call_and_garbage_leads_nowhere() {
        let run = RunId([7; 16]);
        let token = mint(run, 42, &[9; 32]);
        assert_eq!(parse(&token), Some((run, 42)));
        for garbage in ["", "AAAA", "no base64 !", &token[1..], &format!("{token}AAAA")] {
            assert_eq!(parse(garbage), None, "{garbage}");
        }
    }
}
