-- ARGV: members. Answers those that are in no set: neither due, nor in flight, nor in doubt.
local lost = {}
for _, member in ipairs(ARGV) do
  local is_there = redis.call('ZSCORE', DUE, member) or redis.call('ZSCORE', FLY, member)
    or redis.call('ZSCORE', DOUBT, member)
  if not is_there then lost[#lost + 1] = member end
end
return lost
