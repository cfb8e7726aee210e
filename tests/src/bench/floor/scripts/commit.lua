-- Writes record, schedule and event id. ARGV: event id, case, record, due (ms; empty: now).
local due = ARGV[4]
if due == '' then
  local t = redis.call('TIME')
  due = t[1] * 1000 + math.floor(t[2] / 1000)
end
redis.call('SET', KEYS[1] .. 'c:' .. ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[1] .. 'due', due, ARGV[2])
redis.call('HSET', KEYS[1] .. 'i:' .. string.sub(ARGV[1], -3), ARGV[1], '')
