-- Puts the progress of one message back as the journal tells it, if it stands as it was seen.
-- ARGV: case, slot, progress as seen, progress to write, then four instants (ms; -1: not there): due again,
--   end of the lease, in doubt for an operator since, status to be asked for; then the rule whose timer is
--   no longer armed (empty: none).
-- Answers 1 if it was written.
local id, slot, seen, progress = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if (redis.call('HGET', state_key(id), slot) or '') ~= seen then return 0 end
redis.call('HSET', state_key(id), slot, progress)
local function place(set, member, at)
  if tonumber(at) >= 0 then redis.call('ZADD', set, at, member) else redis.call('ZREM', set, member) end
end
local message, follow = id .. slot .. 'm', id .. slot .. 'f'
place(DUE, message, ARGV[5])
place(FLY, message, ARGV[6])
place(DOUBT, message, ARGV[7])
place(DUE, follow, ARGV[8])
redis.call('ZREM', FLY, follow)
if ARGV[9] ~= '' then redis.call('HINCRBY', ente .. 'armed', ARGV[9], -1) end
return 1
