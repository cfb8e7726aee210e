-- An operator's decision on a message in doubt, if it stands as the operator saw it.
-- ARGV: case, slot, progress as seen, progress to write (a final one gets its instant here), set that it
--   goes to (`due`, `doubt`, or empty for none), ms after which a scheduler tells a final one if nobody did.
-- Answers {status, progress that stands, now}: OK or CHANGED.
local id, slot, seen, progress, to = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now = now_ms()
local standing = redis.call('HGET', state_key(id), slot) or ''
if standing ~= seen then return { 'CHANGED', standing, now } end
local is_final = string.sub(progress, 1, 1) == 'F'
if is_final then progress = progress .. '|' .. now end
local member, telling = id .. slot .. 'm', id .. slot .. 'f'
redis.call('HSET', state_key(id), slot, progress)
redis.call('ZREM', DUE, member, telling)
redis.call('ZREM', FLY, member, telling)
redis.call('ZREM', DOUBT, member)
if to ~= '' then redis.call('ZADD', ente .. to, now, member) end
if is_final then redis.call('ZADD', DUE, now + tonumber(ARGV[6]), telling) end
return { 'OK', progress, now }
