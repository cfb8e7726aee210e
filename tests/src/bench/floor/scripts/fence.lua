-- Marks a case as being sent. ARGV: case, lease (ms).
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('HGET', KEYS[1] .. 's:' .. ARGV[1], 'm') then return redis.error_reply('sent before') end
redis.call('HSET', KEYS[1] .. 's:' .. ARGV[1], 'm', 'I')
redis.call('ZADD', KEYS[1] .. 'fly', now + tonumber(ARGV[2]), ARGV[1])
