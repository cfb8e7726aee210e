-- Lists the register's pages of some buckets, and the cases that concern persons of the same buckets.
-- ARGV: the buckets, two bytes each; 1 for pages and cases, 0 for pages alone. Answers {now, {case, page, ...},
-- cases}.
local heads, with_cases = ARGV[1], ARGV[2] == '1'
local pages, linked = {}, {}
for at = 1, #heads, 2 do
  local head = string.sub(heads, at, at + 1)
  local found = redis.call('HGETALL', ente .. 'j:' .. head)
  for i = 1, #found, 2 do
    pages[#pages + 1] = head .. found[i]
    pages[#pages + 1] = found[i + 1]
  end
  for _, field in ipairs(with_cases and redis.call('HKEYS', ente .. 'n:' .. head) or {}) do
    if #field > 6 then linked[#linked + 1] = string.sub(field, 7) end
  end
end
return { now_ms(), pages, linked }
