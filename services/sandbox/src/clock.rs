//! The only place that reads the clock.

use chrono::{DateTime, Utc};
use std::time::SystemTime;

/// The present instant, UTC.
pub(crate) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}
