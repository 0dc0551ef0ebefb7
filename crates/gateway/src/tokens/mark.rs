//! Marking what a provider may cache: long beginnings that come again.

use bedplate_core::{message::ContentBlock, port::model::ModelRequest, size};
use std::sync::Arc;

/// What the shortest beginning has that providers cache, in tokens.
const SHORTEST: u64 = 1_024;

/// Sets markers where they pay and returns how many: after instructions and tools that are long, because they come with
/// every call, and at the end of a long conversation that goes on, because its next call repeats it. A request in which
/// somebody set one is left as it is.
pub(super) fn mark(request: &mut ModelRequest) -> u32 {
    let is_marker = |block: &ContentBlock| matches!(block, ContentBlock::CachePoint);
    let marked = request.system.iter().any(is_marker)
        || request.messages.iter().any(|message| message.content.iter().any(is_marker));
    if marked {
        return 0;
    }
    let instructions: usize = request.system.iter().map(size::block).sum();
    let fixed = instructions + request.tools.iter().map(size::spec).sum::<usize>();
    let said: usize = request.messages.iter().map(|message| size::message(message)).sum();
    let mut markers = 0;
    if !request.system.is_empty() && size::tokens(fixed) >= SHORTEST {
        request.system.push(ContentBlock::CachePoint);
        markers += 1;
    }
    if request.messages.len() >= 3
        && size::tokens(fixed + said) >= 2 * SHORTEST
        && let Some(last) = request.messages.last_mut()
    {
        Arc::make_mut(last).content.push(ContentBlock::CachePoint);
        markers += 1;
    }
    markers
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::{
        message::Message,
        port::model::{ModelParams, ToolChoice},
    };

    fn request(system: usize, turns: usize) -> ModelRequest {
        let messages = (0..turns).flat_map(|_| [Message::user("x".repeat(2_000)), Message::assistant("ok")]);
        ModelRequest {
            model: "m".into(),
            system: vec![ContentBlock::text("s".repeat(system))],
            messages: messages.chain([Message::user("and now?")]).map(Arc::new).collect(),
            tools: Arc::new([]),
            tool_choice: ToolChoice::Auto,
            params: ModelParams::default(),
        }
    }

    #[test]
    fn a_marker_stands_where_a_long_beginning_comes_again_and_nowhere_else() {
        assert_eq!(mark(&mut request(100, 0)), 0, "too short to be cached");
        let mut long = request(8_000, 0);
        assert_eq!(mark(&mut long), 1);
        assert_eq!(long.system.last(), Some(&ContentBlock::CachePoint));
        let mut talk = request(8_000, 3);
        assert_eq!(mark(&mut talk), 2);
        assert_eq!(talk.messages.last().and_then(|last| last.content.last()), Some(&ContentBlock::CachePoint));
        assert_eq!(mark(&mut talk), 0, "what is marked is left as it is");
    }
}
