//! The budget of calls of an IO account, shared by all replicas and exact: in no window of 5 s do they
//! take more than the account may make.
//!
//! Kept per account: a list of what was taken and when (at most one entry a millisecond), and a hash with
//! the sum of the list, the count of all time, the last instant, the end of a pause, and how many calls are kept for
//! which replica. Time is Redis's.

use std::future::Future;
use std::time::Duration;

use redis::Script;
use redis::aio::ConnectionLike;

use super::StoreError;

/// IO counts calls in any 5 s (io-api.md section 5); we count them in a little more, because a call
/// reaches IO later than it was taken, and not all equally late: by up to [`SLACK`] in the dispatcher, and as
/// much again on the way. More would leave less than 95 % of the account's calls.
pub const WINDOW: Duration = Duration::from_millis(5_200);
/// How long after it was taken a call may still be made: older ones are dropped, not used.
pub const SLACK: Duration = Duration::from_millis(100);
/// Paces in a window: who comes while others want everything waits for a call about half a second.
const PACES: u64 = 10;

/// What a replica wants of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Calls, all of them.
    pub calls: u32,
    /// Of those, calls for enti that take little of the account. Where they are not granted, the next to be free
    /// are kept for them, whichever replica asks first.
    pub first: u32,
    /// Who asks: a name of its own for each replica.
    pub by: &'a str,
}

/// What the store granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Calls that may be made now, at most as many as were wanted.
    pub granted: u32,
    /// When fewer than wanted were granted: after this long there will be more.
    pub wait: Duration,
    /// Calls left in the window after this grant.
    pub left: u32,
    /// Calls taken in all time, this grant included: tells how many others came after it.
    pub total: u64,
    /// The store's clock, Unix milliseconds.
    pub at_ms: i64,
}

/// The budget. Every call that is granted counts, made or not.
pub trait QuotaStore: Send + Sync + 'static {
    /// Takes up to as many as `wanted` of the account's `limit` calls in any 5 s, or says how long to wait.
    fn take(
        &self,
        account: &str,
        limit: u32,
        wanted: Wanted<'_>,
    ) -> impl Future<Output = Result<Grant, StoreError>> + Send;

    /// Nobody takes anything of the account for this long. A pause that ends later stands.
    fn pause(&self, account: &str, time: Duration) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// IO said `left` after a call of `grant`: if that is less than our own view allows, others use the
    /// account, and what they used is counted.
    fn observe(
        &self,
        account: &str,
        limit: u32,
        grant: &Grant,
        left: u32,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The budget in Redis, on any kind of connection.
#[derive(Debug, Clone)]
pub struct RedisQuota<C> {
    connection: C,
    prefix: String,
    offset_ms: i64,
    scripts: Scripts,
}

#[derive(Debug, Clone)]
struct Scripts {
    take: Script,
    pause: Script,
    observe: Script,
}

/// Redis's clock, in Lua: seconds and microseconds.
const REDIS_TIME: &str = "redis.call('TIME')";

/// Opens every script. KEYS: list of `ms:count`, oldest first; hash. ARGV 1: milliseconds added to
/// the clock, 0 but in tests. A clock that steps back a little stands still; one that steps back by
/// more than the window leaves the budget empty for a window, since what was taken when is not known.
const OPEN: &str = r"
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local state = redis.call('HMGET', KEYS[2], 'sum', 'total', 'last', 'paused', 'kept')
local sum = tonumber(state[1] or '0')
local total = tonumber(state[2] or '0')
local last = tonumber(state[3] or '0')
local paused = tonumber(state[4] or '0')
local function keep(window)
  redis.call('HSET', KEYS[2], 'sum', sum, 'total', total, 'last', now, 'paused', paused)
  redis.call('PEXPIRE', KEYS[2], window + 3600000)
  redis.call('PEXPIRE', KEYS[1], window + 3600000)
end
local function roll(limit, window)
  if now < last and last - now <= window then now = last end
  if now < last then
    redis.call('DEL', KEYS[1])
    redis.call('RPUSH', KEYS[1], now .. ':' .. limit)
    sum = limit
    paused = math.min(paused, now + window)
  end
  while true do
    local head = redis.call('LINDEX', KEYS[1], 0)
    if not head then
      sum = 0
      return nil
    end
    local colon = string.find(head, ':', 1, true)
    local at = tonumber(string.sub(head, 1, colon - 1))
    if at + window > now then return at end
    sum = sum - tonumber(string.sub(head, colon + 1))
    redis.call('LPOP', KEYS[1])
  end
end
";

/// ARGV 2..: limit, wanted, window, pace, share, wanted first, who asks. Returns granted, wait, left, total, now.
/// Within a pace at most a share of the limit is granted: a burst that took all of it at once would have everybody
/// else wait for a whole window. What is wanted first and not granted is kept out of the reach of the others until
/// a pace after it may be asked for again (`kept`: `<who>:<until ms>:<calls>;` of each); of each share, half at most.
const TAKE: &str = r"
local limit, wanted, window = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local pace, share = tonumber(ARGV[5]), tonumber(ARGV[6])
local oldest = roll(limit, window) or now
local recent, first = 0, now
local entries = redis.call('LRANGE', KEYS[1], -share, -1)
for i = #entries, 1, -1 do
  local colon = string.find(entries[i], ':', 1, true)
  local at = tonumber(string.sub(entries[i], 1, colon - 1))
  if at + pace <= now then break end
  recent, first = recent + tonumber(string.sub(entries[i], colon + 1)), at
end
local first_wanted, me = tonumber(ARGV[7]), ARGV[8]
local kept, standing = 0, ''
for entry, who, ends, calls in string.gmatch(state[5] or '', '((%w+):(%d+):(%d+);)') do
  if who ~= me and tonumber(ends) > now then
    kept, standing = kept + tonumber(calls), standing .. entry
  end
end
kept = math.min(kept, math.floor(share / 2))
local granted, granted_first = 0, 0
if paused <= now then
  local free = math.max(0, math.min(limit - sum, share - recent))
  granted_first = math.min(first_wanted, free)
  granted = granted_first + math.max(0, math.min(wanted - first_wanted, free - granted_first - kept))
end
if granted > 0 then
  redis.call('RPUSH', KEYS[1], now .. ':' .. granted)
  sum, recent, total = sum + granted, recent + granted, total + granted
end
local wait = 0
if granted < wanted then
  local free = math.max(now + 1, paused)
  if sum >= limit then free = math.max(free, oldest + window) end
  if recent >= share then free = math.max(free, first + pace) end
  -- What is left is kept for others, who take it soon.
  if sum < limit and recent < share and paused <= now then free = now + math.ceil(pace / 10) end
  wait = free - now
end
if granted_first < first_wanted then
  standing = standing .. me .. ':' .. (now + wait + pace) .. ':' .. (first_wanted - granted_first) .. ';'
end
if standing ~= (state[5] or '') then redis.call('HSET', KEYS[2], 'kept', standing) end
keep(window)
return {granted, wait, math.max(0, limit - sum), total, now}
";

/// ARGV 2..: limit, window, milliseconds.
const PAUSE: &str = r"
local limit, window, time = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
roll(limit, window)
paused = math.max(paused, now + time)
keep(window)
return 1
";

/// ARGV 2..: limit, window, left and total of the grant, left by IO, tolerance. Calls granted since may
/// have reached IO first: only what they do not explain is somebody else's, and it is counted once, whoever sees it.
const OBSERVE: &str = r"
local limit, window = tonumber(ARGV[2]), tonumber(ARGV[3])
roll(limit, window)
local explained = tonumber(ARGV[4]) - (total - tonumber(ARGV[5]))
local unknown = math.min(explained - tonumber(ARGV[6]), limit - sum)
if unknown > tonumber(ARGV[7]) then
  redis.call('RPUSH', KEYS[1], now .. ':' .. unknown)
  sum = sum + unknown
  total = total + unknown
  keep(window)
  return unknown
end
return 0
";

impl Scripts {
    /// The scripts on a clock. They run when memory is full too: what is due still leaves.
    fn on(time: &str) -> Self {
        let script =
            |body: &str| Script::new(&format!("#!lua flags=allow-oom\nlocal time = {time}{OPEN}{body}"));
        Self { take: script(TAKE), pause: script(PAUSE), observe: script(OBSERVE) }
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisQuota<C> {
    /// The budgets below `prefix`.
    #[must_use]
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), offset_ms: 0, scripts: Scripts::on(REDIS_TIME) }
    }

    /// The same budgets on a clock that stands still, but for [`RedisQuota::ahead_by`].
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn on_a_still_clock(self) -> Self {
        Self { scripts: Scripts::on("{1800000000, 0}"), ..self }
    }

    /// The same budgets on a clock that is ahead by so many milliseconds.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn ahead_by(&self, offset_ms: i64) -> Self {
        Self { offset_ms, ..self.clone() }
    }

    /// `{prefix}:{q:<account>}:taken`, list; `{prefix}:{q:<account>}`, hash. Both written here only, and
    /// gone an hour after the last call.
    fn call<'a>(&self, script: &'a Script, account: &str) -> redis::ScriptInvocation<'a> {
        let key = format!("{}:{{q:{account}}}", self.prefix);
        let mut call = script.key(format!("{key}:taken"));
        call.key(key).arg(self.offset_ms);
        call
    }
}

/// Calls that others may seem to have used without being believed: IO calls its own count "never
/// completely accurate".
fn tolerance(limit: u32) -> u32 {
    (limit / 50).max(2)
}

/// Calls granted within a pace: a twentieth more than its part of the limit, since takers come a little late.
fn share(limit: u32) -> u64 {
    (u64::from(limit) * 21).div_ceil(20 * PACES)
}

fn window_ms() -> u64 {
    u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX)
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> QuotaStore for RedisQuota<C> {
    async fn take(&self, account: &str, limit: u32, wanted: Wanted<'_>) -> Result<Grant, StoreError> {
        let mut call = self.call(&self.scripts.take, account);
        call.arg(limit).arg(wanted.calls).arg(window_ms()).arg(window_ms() / PACES).arg(share(limit));
        call.arg(wanted.first.min(wanted.calls)).arg(wanted.by);
        let (granted, wait, left, total, at_ms): (u32, u64, u32, u64, i64) =
            call.invoke_async(&mut self.connection.clone()).await.map_err(StoreError::from_redis)?;
        Ok(Grant { granted, wait: Duration::from_millis(wait), left, total, at_ms })
    }

    async fn pause(&self, account: &str, time: Duration) -> Result<(), StoreError> {
        let mut call = self.call(&self.scripts.pause, account);
        // The limit only matters after a clock that stepped back: then nothing is left of any limit.
        call.arg(u32::MAX).arg(window_ms()).arg(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let _: u8 = call.invoke_async(&mut self.connection.clone()).await.map_err(StoreError::from_redis)?;
        Ok(())
    }

    async fn observe(&self, account: &str, limit: u32, grant: &Grant, left: u32) -> Result<(), StoreError> {
        if left + tolerance(limit) >= grant.left {
            return Ok(()); // what our own view explains costs no round trip
        }
        let mut call = self.call(&self.scripts.observe, account);
        call.arg(limit).arg(window_ms()).arg(grant.left).arg(grant.total).arg(left).arg(tolerance(limit));
        let _: u32 = call.invoke_async(&mut self.connection.clone()).await.map_err(StoreError::from_redis)?;
        Ok(())
    }
}
