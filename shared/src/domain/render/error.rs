//! Why a message cannot be rendered.

use std::fmt;

/// Code of a rendering failure: dead-letter header, metric label and outcome field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderCode {
    /// The text, its length or its record is at fault.
    Render,
    /// A variable is missing or has the wrong form.
    Variable,
    /// A url is at fault.
    Url,
}

impl RenderCode {
    /// The code as it travels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::Variable => "variable",
            Self::Url => "url",
        }
    }
}

impl fmt::Display for RenderCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A rendering failure. The reason names the variable or field and what is wrong with it, never a value:
/// rendering is pure, so the same request fails again until a text or an ente's settings change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct RenderError {
    /// Code.
    pub code: RenderCode,
    /// What is wrong, and where.
    pub reason: String,
}

impl RenderError {
    /// The text or its record is at fault.
    pub(super) fn render(reason: impl Into<String>) -> Self {
        Self { code: RenderCode::Render, reason: reason.into() }
    }

    /// The named variable is at fault.
    pub(super) fn variable(name: &str, fault: &str) -> Self {
        Self { code: RenderCode::Variable, reason: format!("`{name}` {fault}") }
    }

    /// The named url is at fault.
    pub(super) fn url(name: &str, fault: &str) -> Self {
        Self { code: RenderCode::Url, reason: format!("`{name}` {fault}") }
    }
}
