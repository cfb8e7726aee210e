-- Looks at a page of the schedule for entries without a case.
-- ARGV: first score, entries to skip, most entries; with a fourth, what is found is taken out.
-- Answers {entries, last score, how many entries of that score remain of the page, members without a case}.
local page = redis.call('ZRANGEBYSCORE', DUE, ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', ARGV[2], ARGV[3])
local last = page[#page] or ''
local orphans, same = {}, 0
for i = 1, #page, 2 do
  local is_orphan = redis.call('EXISTS', case_key(string.sub(page[i], 1, 12))) == 0
  if is_orphan then orphans[#orphans + 1] = page[i] end
  if page[i + 1] == last and not (is_orphan and ARGV[4]) then same = same + 1 end
end
if ARGV[4] then in_chunks('ZREM', DUE, orphans) end
return { #page / 2, last, same, orphans }
