-- What is known of an event and of its case. ARGV: event id, case.
local bucket = KEYS[1] .. 'i:' .. string.sub(ARGV[1], -3)
return {
  redis.call('HGET', bucket, ARGV[1]),
  redis.call('GET', KEYS[1] .. 'c:' .. ARGV[2]),
  redis.call('HGETALL', KEYS[1] .. 's:' .. ARGV[2]),
}
