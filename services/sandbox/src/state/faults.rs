//! Faults armed for the next calls.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Operation that a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Submit,
    Profile,
    Status,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// 429, with `x-rate-limit-retry-after` if `retry_after` is given, else without. Nothing is done.
    RateLimited,
    /// 401, invalid key. Nothing is done.
    Unauthorized,
    /// 403, the account may not send Premium messages. Nothing is done.
    PremiumForbidden,
    /// 500 as ProblemJson. Nothing is done.
    ServerError,
    /// 502 as the gateway's HTML page. Nothing is done.
    BadGateway,
    /// 504 as the gateway's HTML page. Nothing is done.
    GatewayTimeout,
    /// 307 to another path. Nothing is done.
    Redirect,
    /// The connection is closed without an answer. Nothing is done.
    CutBefore,
    /// The call is done, then the connection is closed without an answer.
    CutAfter,
    /// The call is done, then half of the answer is sent and the connection closed.
    Truncated,
    /// The call is done, and answered with a body that is not JSON.
    WrongJson,
    /// The call is done, and answered with the right status and the `body` that is asked for.
    Body,
    /// The call is done, and answered late, by `delay_ms`.
    Delay,
}

/// A body that is not the one of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Spoiled {
    /// `{}`: JSON without an id, and no `Location`.
    Empty,
    /// An HTML page.
    Html,
    /// An id that is a number, and no `Location`.
    WrongType,
    /// A gigabyte.
    Huge,
    /// A few megabytes of gzip that unpack to a gigabyte.
    Packed,
}

/// A fault, as `POST /sandbox/faults` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultSpec {
    pub(crate) kind: FaultKind,
    /// Calls that it hits before it is spent, 1 or more.
    #[serde(default = "once")]
    pub(crate) calls: u32,
    /// Only this operation.
    #[serde(default)]
    pub(crate) operation: Option<Operation>,
    /// Only this recipient.
    #[serde(default)]
    pub(crate) fiscal_code: Option<String>,
    /// Milliseconds by which the answer (or the cut) is late; any kind may have it, up to an hour.
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// Only calls of this account.
    #[serde(default)]
    pub(crate) account: Option<String>,
    /// One call in so many of those that it is for, 1 or more.
    #[serde(default = "once")]
    pub(crate) every: u32,
    /// The header of `rate_limited`: seconds, or any text.
    #[serde(default)]
    pub(crate) retry_after: Option<RetryAfter>,
    /// What kind `body` answers with.
    #[serde(default)]
    pub(crate) body: Option<Spoiled>,
    /// Calls that it was for since it last hit one.
    #[serde(skip)]
    passed: u32,
}

/// The value of `x-rate-limit-retry-after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// Anything, as it stands.
    Text(String),
}

const fn once() -> u32 {
    1
}

/// Longest delay, in milliseconds.
const MAX_DELAY_MS: u64 = 3_600_000;

impl FaultSpec {
    /// What is wrong with it, by field; never the value.
    pub(crate) fn faults(&self) -> Vec<&'static str> {
        let is_code = |code: &String| crate::codec::is_fiscal_code(code);
        [
            (self.calls == 0, "calls: must be 1 or more"),
            (self.delay_ms > MAX_DELAY_MS, "delay_ms: must be 3600000 or less"),
            (self.kind == FaultKind::Delay && self.delay_ms == 0, "delay_ms: required by kind \"delay\""),
            (
                self.kind != FaultKind::RateLimited && self.retry_after.is_some(),
                "retry_after: only for kind \"rate_limited\"",
            ),
            (
                matches!(&self.retry_after, Some(RetryAfter::Text(text)) if !is_header(text)),
                "retry_after: no text for a header",
            ),
            (self.every == 0, "every: must be 1 or more"),
            (
                (self.kind == FaultKind::Body) != self.body.is_some(),
                "body: required by kind \"body\", and only there",
            ),
            (self.fiscal_code.as_ref().is_some_and(|code| !is_code(code)), "fiscal_code: not a fiscal code"),
        ]
        .into_iter()
        .filter_map(|(is_wrong, reason)| is_wrong.then_some(reason))
        .collect()
    }

    /// The delay asked for.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    fn matches(&self, call: &Call<'_>) -> bool {
        self.operation.is_none_or(|operation| operation == call.operation)
            && self.fiscal_code.as_deref().is_none_or(|code| Some(code) == call.fiscal_code)
            && self.account.as_deref().is_none_or(|account| account == call.account)
    }

    /// Whether it is this call's turn, of those that it is for.
    fn is_due(&mut self) -> bool {
        self.passed += 1;
        let is_due = self.passed >= self.every;
        if is_due {
            self.passed = 0;
        }
        is_due
    }
}

/// Visible ASCII, which every header may hold.
fn is_header(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// A call that a fault may hit.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    /// Recipient, where path or body names one.
    pub(crate) fiscal_code: Option<&'a str>,
    /// Whose key it has.
    pub(crate) account: &'a str,
}

/// The armed faults, in the order in which they were set; the first that matches a call hits it.
#[derive(Debug, Default)]
pub(crate) struct FaultSet {
    armed: Mutex<Vec<FaultSpec>>,
    /// Length of `armed`, so that a call costs no lock while there is none.
    count: AtomicUsize,
}

impl FaultSet {
    /// Whether any fault is armed.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Arms faults after those that are there.
    pub(crate) fn arm(&self, specs: Vec<FaultSpec>) {
        let mut armed = self.lock();
        armed.extend(specs);
        self.count.store(armed.len(), Ordering::Release);
    }

    /// The armed faults, each with the calls that it has left.
    pub(crate) fn list(&self) -> Vec<FaultSpec> {
        self.lock().clone()
    }

    /// Disarms all.
    pub(crate) fn clear(&self) {
        let mut armed = self.lock();
        armed.clear();
        self.count.store(0, Ordering::Release);
    }

    /// Takes the fault that hits this call, if one does: one of its calls is spent.
    pub(crate) fn strike(&self, call: &Call<'_>) -> Option<FaultSpec> {
        let mut armed = self.lock();
        let at = armed.iter_mut().position(|spec| spec.matches(call) && spec.is_due())?;
        let spec = armed.get_mut(at)?;
        spec.calls -= 1;
        let struck = spec.clone();
        if struck.calls == 0 {
            armed.remove(at);
            self.count.store(armed.len(), Ordering::Release);
        }
        Some(struck)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<FaultSpec>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_hits_only_its_operation_and_recipient_and_is_spent() {
        let set = FaultSet::default();
        let spec = json!({"kind": "cut_after", "operation": "submit", "fiscal_code": "AAAAAA00A00A000A"});
        set.arm(vec![serde_json::from_value(spec).unwrap()]);
        let call = |operation, fiscal_code| Call { operation, fiscal_code, account: "a" };
        assert!(set.strike(&call(Operation::Status, Some("AAAAAA00A00A000A"))).is_none());
        assert!(set.strike(&call(Operation::Submit, Some("ZZZNIO80A01H501B"))).is_none());
        assert!(set.strike(&call(Operation::Submit, Some("AAAAAA00A00A000A"))).is_some());
        assert!(set.is_empty());
    }

    #[test]
    fn one_call_in_so_many_is_hit_of_one_account() {
        let set = FaultSet::default();
        let spec = json!({"kind": "server_error", "account": "a", "every": 3, "calls": 2});
        set.arm(vec![serde_json::from_value(spec).unwrap()]);
        let hits = |account| {
            let call = Call { operation: Operation::Submit, fiscal_code: None, account };
            (0..9).map(|_| set.strike(&call).is_some()).collect::<Vec<_>>()
        };
        assert!(!hits("b").contains(&true));
        assert_eq!(hits("a"), [false, false, true, false, false, true, false, false, false]);
    }

    #[test]
    fn a_bad_fault_names_its_fields() {
        let spec = json!({"kind": "delay", "calls": 0, "fiscal_code": "x", "retry_after": "\n", "every": 0, "body": "html"});
        let spec: FaultSpec = serde_json::from_value(spec).unwrap();
        assert_eq!(spec.faults().len(), 7, "{:?}", spec.faults());
    }
}
