-- Marks a case as sent. ARGV: case, IO's id of the message.
redis.call('ZREM', KEYS[1] .. 'fly', ARGV[1])
redis.call('HSET', KEYS[1] .. 's:' .. ARGV[1], 'm', 'F|' .. ARGV[2])
