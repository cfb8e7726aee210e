-- Moves what is due to the in-flight set. ARGV: most entries, lease (ms). Answers the records.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'due', '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))
if #due == 0 then return {} end
local leases, records = {}, {}
for i, case in ipairs(due) do
  leases[2 * i - 1], leases[2 * i] = now + tonumber(ARGV[2]), case
  records[i] = KEYS[1] .. 'c:' .. case
end
redis.call('ZREM', KEYS[1] .. 'due', unpack(due))
redis.call('ZADD', KEYS[1] .. 'fly', unpack(leases))
return redis.call('MGET', unpack(records))
