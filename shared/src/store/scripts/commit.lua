-- Writes what planning decided, all of it or nothing.
-- ARGV: newest format that the caller reads, format that it writes, event key (or empty), what to remember of it,
--   number of cases, then for each: id, revision expected (empty: it must not be there), new blob (with
--     its revision in front), number of changes, and for each change: verb, slot, progress expected, due;
--   number of persons, then for each: key, facts expected, new facts (empty: as they are), number of links,
--     and the case ids to link;
--   1 to have every other case of those persons looked at again;
--   number of rules whose count of armed timers changes, then for each: rule, difference.
-- Verbs: A arm, M move, X cancel. Answers {status, now}: OK, SEEN with what is remembered, CONFLICT,
-- or FOREIGN with the store's format where that is newer.
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local newest, written = tonumber(take()), tonumber(take())
if format() > newest then return { 'FOREIGN', now_ms(), tostring(format()) } end
local event, remember = take(), take()
if event ~= '' then
  local seen = redis.call('HGET', ente .. 'i:' .. string.sub(event, 1, 2), string.sub(event, 3))
  if seen then return { 'SEEN', now_ms(), seen } end
end
local writes = {}
for i = 1, tonumber(take()) do
  local id, expected, blob = take(), take(), take()
  local known = redis.call('GETRANGE', case_key(id), 0, 7)
  if known ~= expected then return { 'CONFLICT', now_ms() } end
  local changes = {}
  for j = 1, tonumber(take()) do
    local change = { take(), take(), take(), take() }
    local progress = redis.call('HGET', state_key(id), change[2]) or ''
    if progress ~= change[3] then return { 'CONFLICT', now_ms() } end
    changes[j] = change
  end
  writes[i] = { id, blob, changes }
end
local persons = {}
for i = 1, tonumber(take()) do
  local person, expected, facts = take(), take(), take()
  if (redis.call('GET', ente .. 'f:' .. person) or '') ~= expected then return { 'CONFLICT', now_ms() } end
  local links = {}
  for j = 1, tonumber(take()) do links[j] = take() end
  persons[i] = { person, facts, links }
end
local propagate = take() == '1'
local armed = {}
for i = 1, tonumber(take()) do armed[i] = { take(), take() } end
-- From here on it is only writing.
local now = now_ms()
if written > format() then redis.call('SET', FORMAT, written) end
local own = {}
for _, write in ipairs(writes) do
  local id, blob, changes = write[1], write[2], write[3]
  own[id] = true
  redis.call('SET', case_key(id), blob)
  for _, change in ipairs(changes) do
    local verb, slot, progress, due = change[1], change[2], change[3], change[4]
    local member = id .. slot .. 'm'
    if verb == 'X' then
      redis.call('ZREM', DUE, member)
      redis.call('ZREM', FLY, member)
      redis.call('HSET', state_key(id), slot, 'F|annullato|' .. now)
    else
      redis.call('ZADD', DUE, due, member)
      if progress ~= '' then
        local p = split(progress)
        redis.call('ZREM', FLY, member)
        redis.call('HSET', state_key(id), slot, 'A|' .. p[2] .. '|' .. p[3] .. marks(is_again(p), has_called(p)))
      end
    end
  end
end
if event ~= '' then
  redis.call('HSET', ente .. 'i:' .. string.sub(event, 1, 2), string.sub(event, 3), remember)
end
for _, entry in ipairs(persons) do
  local person, facts, links = entry[1], entry[2], entry[3]
  local bucket = ente .. 'n:' .. string.sub(person, 1, 2)
  if facts ~= '' then
    redis.call('SET', ente .. 'f:' .. person, facts)
    -- Without a case: so that the facts are found when their time is over.
    redis.call('HSET', bucket, string.sub(person, 3), '')
  end
  for _, id in ipairs(links) do redis.call('HSET', bucket, string.sub(person, 3) .. id, '') end
  if propagate then
    for _, field in ipairs(redis.call('HKEYS', bucket)) do
      if string.sub(field, 1, 6) == string.sub(person, 3) then
        local id = string.sub(field, 7)
        if id ~= '' and not own[id] then redis.call('ZADD', DUE, now, id .. '\0\0r') end
      end
    end
  end
end
for _, change in ipairs(armed) do redis.call('HINCRBY', ente .. 'armed', change[1], change[2]) end
return { 'OK', now }
