//! Resource ARNs of tasks, as the table reads them.

/// What a resource names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The service as the table has it: `lambda`, `aws-sdk:dynamodb`, `bedplate`; `function` for the ARN of a function.
    pub service: String,
    /// The action without its pattern; for a function its name.
    pub action: String,
    /// What the task waits for.
    pub pattern: Pattern,
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The service's answer.
    Response,
    /// The end of the job that the call starts (`.sync`, `.sync:2`).
    Job,
    /// A result under the task's token (`.waitForTaskToken`).
    Token,
}

impl Resource {
    /// Returns what `arn` names; none when it is no resource that the table could have.
    pub fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(7, ':').collect();
        match parts.as_slice() {
            ["arn", _, "lambda", _, _, kind, rest @ ..] => {
                let name = if *kind == "function" { rest.first().copied().unwrap_or_default() } else { kind };
                let action = function_name(name).to_owned();
                (!action.is_empty()).then_some(Self { service: "function".into(), action, pattern: Pattern::Response })
            }
            ["arn", _, "states", "", "", service, action] => {
                let (action, pattern) = pattern(action);
                let (service, action) = match (*service, action.split_once(':')) {
                    ("aws-sdk", Some((of, action))) => (format!("aws-sdk:{of}"), action),
                    (service, _) => (service.to_owned(), action),
                };
                Some(Self { service, action: action.to_owned(), pattern })
            }
            _ => None,
        }
    }
}

fn pattern(action: &str) -> (&str, Pattern) {
    if let Some(action) = action.strip_suffix(".waitForTaskToken") {
        (action, Pattern::Token)
    } else if let Some(action) = action.strip_suffix(".sync").or_else(|| action.strip_suffix(".sync:2")) {
        (action, Pattern::Job)
    } else {
        (action, Pattern::Response)
    }
}

/// Returns the name of a function out of its name, its partial or its whole ARN, without a version or alias.
pub fn function_name(named: &str) -> &str {
    let name = named.rsplit_once("function:").map_or(named, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arn: &str) -> (String, String, Pattern) {
        let resource = Resource::parse(arn).expect(arn);
        (resource.service, resource.action, resource.pattern)
    }

    #[test]
    fn every_form_of_an_arn_leads_to_its_row_of_the_table() {
        let row = |service: &str, action: &str, pattern| (service.to_owned(), action.to_owned(), pattern);
        for (arn, expected) in [
            ("arn:aws:states:::lambda:invoke", row("lambda", "invoke", Pattern::Response)),
            ("arn:aws:states:::sqs:sendMessage.waitForTaskToken", row("sqs", "sendMessage", Pattern::Token)),
            ("arn:aws:states:::states:startExecution.sync:2", row("states", "startExecution", Pattern::Job)),
            ("arn:aws:states:::aws-sdk:s3:listBuckets", row("aws-sdk:s3", "listBuckets", Pattern::Response)),
            ("arn:aws:states:::bedplate:tool:order_status", row("bedplate", "tool:order_status", Pattern::Response)),
            ("arn:aws:lambda:REGION:ACCOUNT:function:a-b", row("function", "a-b", Pattern::Response)),
            ("arn:aws:lambda:us-east-1:1:function:f:$LATEST", row("function", "f", Pattern::Response)),
        ] {
            assert_eq!(parsed(arn), expected, "{arn}");
        }
        for arn in ["", "arn", "arn:aws:sqs:::x", "arn:aws:states:eu::lambda:invoke", "lambda:invoke"] {
            assert_eq!(Resource::parse(arn), None, "{arn}");
        }
        assert_eq!(function_name("arn:aws:lambda:us-east-1:111111111111:function:fn:3"), "fn");
        assert_eq!(function_name("111111111111:function:fn"), "fn");
        assert_eq!(function_name("fn:LIVE"), "fn");
    }
}
