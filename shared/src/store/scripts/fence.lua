-- The point of no return: answers whether this emission, and no other, may send.
-- ARGV: case, slot, emission, token of the try, how long it may take (ms).
-- Answers {verdict, progress}: GO, OVER, ABANDONED or STALE.
local id, slot, emission, token, lasts = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local progress = redis.call('HGET', state_key(id), slot) or ''
local p = split(progress)
if p[2] == emission and (p[1] == 'E' or (p[1] == 'I' and p[5] == token)) then
  redis.call('HSET', state_key(id), slot, 'I|' .. emission .. '|' .. p[3] .. '|' .. (p[4] or '') .. '|' .. token)
  redis.call('ZADD', FLY, now_ms() + lasts, id .. slot .. 'm')
  -- Its lease may have ended meanwhile: what leaves now must not be emitted once more beside it.
  redis.call('ZREM', DUE, id .. slot .. 'm')
  return { 'GO', progress }
end
if p[1] == 'F' then return { 'OVER', progress } end
if p[1] == 'D' and p[2] == emission then return { 'ABANDONED', progress } end
return { 'STALE', progress }
