-- Lists the register's pages of some buckets, and the cases that concern persons of the same buckets.
-- ARGV: first bucket (0 to 65535), number of buckets. Answers {now, {case, page, ...}, cases}.
local first = tonumber(ARGV[1])
local pages, linked = {}, {}
for bucket = first, first + tonumber(ARGV[2]) - 1 do
  local head = string.char(math.floor(bucket / 256), bucket % 256)
  local found = redis.call('HGETALL', ente .. 'j:' .. head)
  for i = 1, #found, 2 do
    pages[#pages + 1] = head .. found[i]
    pages[#pages + 1] = found[i + 1]
  end
  for _, field in ipairs(redis.call('HKEYS', ente .. 'n:' .. head)) do
    if #field > 6 then linked[#linked + 1] = string.sub(field, 7) end
  end
end
return { now_ms(), pages, linked }
