//! What a metric of the table is made of.

/// A process that feeds metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// `scheduler`.
    Scheduler,
    /// `renderer`.
    Renderer,
    /// `dispatcher`.
    Dispatcher,
}

impl Process {
    /// The name of the binary.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Renderer => "renderer",
            Self::Dispatcher => "dispatcher",
        }
    }
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Distribution over these buckets, in seconds.
    Histogram(&'static [f64]),
}

/// A label and what its values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Name.
    pub name: &'static str,
    /// Its values; always a bounded set, never a person or a case.
    pub values: &'static str,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// Full name.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// What it tells.
    pub help: &'static str,
    /// Labels, in order.
    pub labels: &'static [Label],
    /// The processes that feed it.
    pub fed_by: &'static [Process],
}
