-- The point of no return: answers whether this emission, and no other, may send.
-- ARGV: case, slot, emission, token of the try, how long it may take (ms), lowest mark of a whole store
--   (empty: unchecked), the server's run.
-- Answers {verdict, progress, mark}: GO, OVER, ABANDONED, STALE, or LOST if the store lost something.
local id, slot, emission, token, lasts = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if not is_whole(ARGV[6], ARGV[7]) then return { 'LOST', '', 0 } end
local mark = tonumber(redis.call('GET', MARK) or '0')
local progress = redis.call('HGET', state_key(id), slot) or ''
local p = split(progress)
if p[2] == emission and (p[1] == 'E' or (p[1] == 'I' and p[5] == token)) then
  redis.call('HSET', state_key(id), slot, 'I|' .. emission .. '|' .. p[3] .. '|' .. (p[4] or '') .. '|' .. token)
  redis.call('ZADD', FLY, now_ms() + lasts, id .. slot .. 'm')
  -- Its lease may have ended meanwhile: what leaves now must not be emitted once more beside it.
  redis.call('ZREM', DUE, id .. slot .. 'm')
  return { 'GO', progress, mark }
end
if p[1] == 'F' then return { 'OVER', progress, mark } end
if p[1] == 'D' and p[2] == emission then return { 'ABANDONED', progress, mark } end
return { 'STALE', progress, mark }
