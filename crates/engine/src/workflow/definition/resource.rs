//! Resource ARNs of tasks, taken apart.

use std::sync::Arc;

/// What a task calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The ARN as it is written.
    pub arn: Arc<str>,
    /// What it names.
    pub integration: Integration,
}

/// What a resource ARN names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integration {
    /// A Lambda function, called directly.
    Function,
    /// An activity.
    Activity,
    /// A service: `arn:aws:states:::service:action[.pattern]`.
    Service {
        /// The service as the history names it, for example `lambda` or `aws-sdk:dynamodb`.
        service: Arc<str>,
        /// The action with its pattern, for example `sendMessage.waitForTaskToken`.
        action: Arc<str>,
    },
}

impl Resource {
    /// Returns the resource that `arn` names; none when it is no ARN of a known form.
    #[must_use]
    pub fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(7, ':').collect();
        let ["arn", _, service, region, account, rest @ ..] = parts.as_slice() else { return None };
        let integration = match (*service, *region, *account, rest) {
            ("lambda", _, _, [_, ..]) => Integration::Function,
            ("states", _, _, ["activity", name]) if !name.is_empty() => Integration::Activity,
            ("states", "", "", [service, action]) if !service.is_empty() => {
                let (service, action) = match (*service, action.rsplit_once(':')) {
                    ("aws-sdk", Some((of, action))) => (format!("aws-sdk:{of}"), action),
                    // The version of a `.sync:2` belongs to the action.
                    (service, _) => (service.to_owned(), *action),
                };
                Integration::Service { service: service.into(), action: action.into() }
            }
            _ => return None,
        };
        Some(Self { arn: arn.into(), integration })
    }

    /// Returns whether the result comes later, under the task's token.
    #[must_use]
    pub fn waits_for_token(&self) -> bool {
        matches!(&self.integration, Integration::Service { action, .. } if action.ends_with(".waitForTaskToken"))
    }

    /// Returns whether the result comes when the job that the call starts is done.
    #[must_use]
    pub fn waits_for_job(&self) -> bool {
        matches!(&self.integration,
            Integration::Service { action, .. } if action.ends_with(".sync") || action.contains(".sync:"))
    }
}
