-- ARGV: ids of cases. Answers those of which the register has no page.
local strangers = {}
for _, id in ipairs(ARGV) do
  if not redis.call('HGET', page_key(id), string.sub(id, 3)) then strangers[#strangers + 1] = id end
end
return strangers
