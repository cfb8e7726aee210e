-- What of an ente's schedule is near. ARGV: end of the ente's day (ms).
-- Answers {due and not claimed, due until then or in flight, earliest instant (-1 without entries)}.
local first = redis.call('ZRANGEBYSCORE', DUE, '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local today = redis.call('ZCOUNT', DUE, '-inf', ARGV[1]) + redis.call('ZCARD', FLY)
return { redis.call('ZCOUNT', DUE, '-inf', now_ms()), today, tonumber(first[2] or '-1') }
