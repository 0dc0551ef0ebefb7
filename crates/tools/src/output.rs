//! Results within their limit.

use bedplate_core::{message::ToolResultContent, tool::ToolOutput};

/// Returns `output` with at most `most` bytes of text and JSON, and a note where something was cut.
#[must_use]
pub fn bounded(mut output: ToolOutput, most: usize) -> ToolOutput {
    let mut left = most;
    let mut lost = 0;
    let mut content = Vec::with_capacity(output.content.len());
    for part in output.content {
        let text = match part {
            ToolResultContent::Text { text } => text,
            ToolResultContent::Json { ref json } => {
                let text = json.to_string();
                if text.len() <= left {
                    left -= text.len();
                    content.push(part);
                    continue;
                }
                text
            }
            ToolResultContent::Image { .. } => {
                content.push(part);
                continue;
            }
        };
        let kept = text.floor_char_boundary(left.min(text.len()));
        left -= kept;
        lost += text.len() - kept;
        if kept > 0 || text.is_empty() {
            content.push(ToolResultContent::text(&text[..kept]));
        }
    }
    if lost > 0 {
        content.push(ToolResultContent::text(format!("[The result was cut: {lost} more bytes are not shown.]")));
    }
    output.content = content;
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_falls_between_characters_and_says_how_much_is_missing() {
        let output = bounded(ToolOutput::text("ab漫画"), 4);
        let expected = ["ab", "[The result was cut: 6 more bytes are not shown.]"].map(ToolResultContent::text);
        assert_eq!(output.content, expected);
    }

    #[test]
    fn a_result_that_fits_is_not_touched() {
        let output = ToolOutput::error("four");
        assert_eq!(bounded(output.clone(), 4), output);
    }

    #[test]
    fn json_that_does_not_fit_is_cut_as_text() {
        let json = serde_json::json!([{ "a": 1 }, { "a": 2 }]);
        let output = bounded(ToolOutput { content: vec![ToolResultContent::Json { json }], is_error: false }, 9);
        assert_eq!(output.content[0], ToolResultContent::text("[{\"a\":1},"));
    }
}
