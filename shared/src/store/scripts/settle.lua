-- Ends an emission, if it is still the one that counts.
-- ARGV: case, slot, kind, emission, verb, then by verb:
--   OVER what            final: `what` is the rest of the progress after `F|`; then ms until its status is
--                        asked for (-1: never), 1 to look at the case again
--   DOUBT why ms         in doubt; ms until it is sent again (-1: kept for an operator)
--   AGAIN ms failures    back to the schedule; failures to add; ms of the STANDARD flag (0: none)
--   LATER ms             ask for the status again
--   ENDED what io_id     the status is known
--   DONE                 nothing is left to do
-- Answers {status, now}: OK, HELD (a doubt that waits for an operator), or LATE with the progress that
-- stands.
local id, slot, kind, emission, verb = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now = now_ms()
local member = id .. slot .. kind
local progress = redis.call('HGET', state_key(id), slot) or ''
local p = split(progress)
if kind == 'm' then
  local ours = (p[1] == 'E' or p[1] == 'I' or p[1] == 'D') and p[2] == emission
  if not ours then return { 'LATE', now, progress } end
elseif kind == 'f' and p[1] ~= 'F' then
  redis.call('ZREM', FLY, member)
  return { 'LATE', now, progress }
end
redis.call('ZREM', FLY, member)
if verb == 'OVER' then
  redis.call('HSET', state_key(id), slot, 'F|' .. ARGV[6] .. '|' .. now)
  redis.call('ZREM', DOUBT, member)
  if tonumber(ARGV[7]) >= 0 then redis.call('ZADD', DUE, now + tonumber(ARGV[7]), id .. slot .. 'f') end
  if ARGV[8] == '1' then redis.call('ZADD', DUE, now, id .. '\0\0r') end
elseif verb == 'DOUBT' then
  local doubt = 'D|' .. emission .. '|' .. p[3] .. '|' .. ARGV[6] .. '|' .. now
  redis.call('HSET', state_key(id), slot, doubt)
  if tonumber(ARGV[7]) >= 0 and p[4] ~= 'r' then
    redis.call('ZREM', DOUBT, member)
    redis.call('ZADD', DUE, now + tonumber(ARGV[7]), member)
  else
    redis.call('ZADD', DOUBT, now, member)
    return { 'HELD', now }
  end
elseif verb == 'AGAIN' then
  redis.call('HSET', state_key(id), slot, 'A|' .. emission .. '|' .. (tonumber(p[3]) + tonumber(ARGV[7]))
    .. (p[4] == 'r' and '|r' or ''))
  redis.call('ZREM', DOUBT, member)
  redis.call('ZADD', DUE, now + tonumber(ARGV[6]), member)
  if tonumber(ARGV[8]) > 0 then redis.call('SET', ente .. 'std', '1', 'PX', ARGV[8]) end
elseif verb == 'LATER' then
  redis.call('ZADD', DUE, now + tonumber(ARGV[6]), member)
elseif verb == 'ENDED' then
  redis.call('HSET', state_key(id), slot, 'F|' .. ARGV[6] .. '|' .. p[3] .. '|' .. ARGV[7] .. '|' .. p[#p])
end
return { 'OK', now }
