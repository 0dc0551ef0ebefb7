//! The two query languages: paths, templates and intrinsic functions, and JSONata.

mod entropy;
mod env;
mod format;
mod functions;
mod intrinsic;
pub mod jsonata;
mod jsonata_functions;
mod path;
pub mod reference;
mod template;

pub use entropy::Entropy;
pub use env::{Env, Facts, Lazy};
pub use intrinsic::Intrinsic;
pub use path::{Path, PathMiss};
pub use template::Template;

use std::{borrow::Cow, fmt, sync::Arc};

/// Why a state failed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The error's name.
    pub error: Cow<'static, str>,
    /// What went wrong; the state and where it was entered are said before it when `framed`.
    pub message: String,
    /// Whether the message is preceded by the state.
    pub framed: bool,
    /// The field whose evaluation failed, for the history.
    pub evaluation: Option<Option<Arc<str>>>,
}

impl Problem {
    /// Returns a `States.Runtime` problem.
    #[must_use]
    pub fn runtime(message: impl fmt::Display) -> Self {
        Self { error: "States.Runtime".into(), message: message.to_string(), framed: true, evaluation: None }
    }

    /// Returns a `States.IntrinsicFailure`.
    #[must_use]
    pub fn intrinsic(message: impl fmt::Display) -> Self {
        Self { error: "States.IntrinsicFailure".into(), ..Self::runtime(message) }
    }

    /// Returns a `States.QueryEvaluationError`, perhaps at a field.
    #[must_use]
    pub fn query(message: impl fmt::Display, location: Option<&str>) -> Self {
        Self {
            error: "States.QueryEvaluationError".into(),
            evaluation: Some(location.map(Into::into)),
            ..Self::runtime(message)
        }
    }

    /// Returns a problem whose message stands alone.
    #[must_use]
    pub fn plain(error: &'static str, message: impl fmt::Display) -> Self {
        Self { error: error.into(), framed: false, ..Self::runtime(message) }
    }
}
