-- Forgets what a case or a person no longer needs, if it stands as it was loaded.
-- ARGV: 'case', id, revision expected, new blob (empty: delete), number of event keys, the keys, and the
--   persons to unlink; or 'person', key, facts expected, new facts.
-- Facts of a person without a case go with the last of its cases, whatever new facts are given.
-- Answers 1, or 0 if it changed meanwhile.
local function bucket_of(person) return ente .. 'n:' .. string.sub(person, 1, 2) end
if ARGV[1] == 'person' then
  local person, expected, facts = ARGV[2], ARGV[3], ARGV[4]
  if (redis.call('GET', ente .. 'f:' .. person) or '') ~= expected then return 0 end
  redis.call('SET', ente .. 'f:' .. person, facts)
  return 1
end
local id, expected, blob = ARGV[2], ARGV[3], ARGV[4]
if redis.call('GETRANGE', case_key(id), 0, 7) ~= expected then return 0 end
local events = tonumber(ARGV[5])
for i = 6, 5 + events do
  redis.call('HDEL', ente .. 'i:' .. string.sub(ARGV[i], 1, 2), string.sub(ARGV[i], 3))
end
if blob ~= '' then
  redis.call('SET', case_key(id), blob)
  return 1
end
redis.call('DEL', case_key(id), state_key(id))
redis.call('HDEL', page_key(id), string.sub(id, 3))
for i = 6 + events, #ARGV do
  local person = ARGV[i]
  local suffix = string.sub(person, 3)
  redis.call('HDEL', bucket_of(person), suffix .. id)
  local others = 0
  for _, field in ipairs(redis.call('HKEYS', bucket_of(person))) do
    if string.sub(field, 1, 6) == suffix and #field > 6 then others = others + 1 end
  end
  if others == 0 then
    redis.call('DEL', ente .. 'f:' .. person)
    redis.call('HDEL', bucket_of(person), suffix)
  end
end
return 1
