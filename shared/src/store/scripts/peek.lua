-- Looks at a page of one of the ente's sorted sets and changes nothing.
-- ARGV: set (`due`, `fly` or `doubt`), first and last score, entries to skip, most entries.
-- Answers {now, entries in that range, page}; an entry is {member, score, blob, progress}.
local set = ente .. ARGV[1]
local entries = {}
local page = redis.call('ZRANGEBYSCORE', set, ARGV[2], ARGV[3], 'WITHSCORES', 'LIMIT', ARGV[4], ARGV[5])
for i = 1, #page, 2 do
  local member = page[i]
  local id, slot = string.sub(member, 1, 12), string.sub(member, 13, 14)
  local progress = redis.call('HGET', state_key(id), slot) or ''
  entries[#entries + 1] = { member, page[i + 1], redis.call('GET', case_key(id)), progress }
end
return { now_ms(), redis.call('ZCOUNT', set, ARGV[2], ARGV[3]), entries }
