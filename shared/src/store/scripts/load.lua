-- ARGV: event key (12 bytes, or empty), number of cases, their ids, number of persons, their keys.
-- Then the lowest mark of a whole store (empty: unchecked), the server's run, and the newest format that the caller
-- reads.
-- Answers: now, what is remembered of the event, {blob, {slot, state, ...}} per case, facts per person,
-- 1 if the store is whole, the store's format. A newer format than the caller reads: no case, no person.
if format() > tonumber(ARGV[#ARGV]) then return { now_ms(), false, {}, {}, 1, format() } end
local seen = false
local at = 1
local event = ARGV[at]
if event ~= '' then
  seen = redis.call('HGET', ente .. 'i:' .. string.sub(event, 1, 2), string.sub(event, 3))
end
local cases = {}
local count = tonumber(ARGV[at + 1])
for i = 1, count do
  local id = ARGV[at + 1 + i]
  cases[i] = { redis.call('GET', case_key(id)), redis.call('HGETALL', state_key(id)) }
end
at = at + 2 + count
local persons = {}
count = tonumber(ARGV[at])
for i = 1, count do
  persons[i] = redis.call('GET', ente .. 'f:' .. ARGV[at + i])
end
return { now_ms(), seen, cases, persons, is_whole(ARGV[at + count + 1], ARGV[at + count + 2]) and 1 or 0, format() }
