-- Lists the persons and cases of some buckets of the ente.
-- ARGV: first bucket (0 to 65535), number of buckets.
-- Answers {now, entries}; an entry is {person, case}, the case empty where a person has facts only.
local first = tonumber(ARGV[1])
local entries = {}
for bucket = first, first + tonumber(ARGV[2]) - 1 do
  local head = string.char(math.floor(bucket / 256), bucket % 256)
  for _, field in ipairs(redis.call('HKEYS', ente .. 'n:' .. head)) do
    entries[#entries + 1] = { head .. string.sub(field, 1, 6), string.sub(field, 7) }
  end
end
return { now_ms(), entries }
