-- Counts an ente's schedule. ARGV: ms after which something due and not taken is late.
-- Answers {now, in the schedule, late, in flight, in doubt}.
local now = now_ms()
local late = redis.call('ZCOUNT', DUE, '-inf', now - tonumber(ARGV[1]))
return { now, redis.call('ZCARD', DUE), late, redis.call('ZCARD', FLY), redis.call('ZCARD', DOUBT) }
