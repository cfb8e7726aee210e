-- Puts messages that wait and are in no set back where their progress says they belong.
-- ARGV: for each: member, progress as seen, when it is due (ms), when it is given up (ms; -1: never).
-- Answers how many there were.
local now, count = now_ms(), 0
for i = 1, #ARGV, 4 do
  local member, seen, due, given_up = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local id, slot = string.sub(member, 1, 12), string.sub(member, 13, 14)
  local is_there = redis.call('ZSCORE', DUE, member) or redis.call('ZSCORE', FLY, member)
    or redis.call('ZSCORE', DOUBT, member)
  if not is_there and (redis.call('HGET', state_key(id), slot) or '') == seen then
    local p = split(seen)
    if p[1] == 'I' then
      -- As if its lease had ended: it may have been sent.
      redis.call('ZADD', FLY, now, member)
    elseif p[1] == 'D' then
      redis.call('ZADD', DOUBT, p[5], member)
      if p[7] == 'x' and given_up >= 0 then redis.call('ZADD', DUE, given_up, member) end
    else
      redis.call('ZADD', DUE, due, member)
    end
    count = count + 1
  end
end
return count
