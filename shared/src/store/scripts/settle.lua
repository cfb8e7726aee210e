-- Ends an emission, if it is still the one that counts.
-- ARGV: case, slot, kind, emission, verb, then by verb:
--   SENT what            IO made it: `what` is the rest of the progress after `F|`; then ms until its status
--                        is asked for (-1: never), 1 to look at the case again
--   OVER what            final in another way; the same arguments
--   DOUBT why ms x       in doubt; ms until it is sent again, or with `x` given up (-1: kept for an operator)
--   AGAIN ms failures std c
--                        back to the schedule; failures to add; ms of the STANDARD flag (0: none); `c` if a
--                        call was made and failed
--   LATER ms             ask for the status again
--   ENDED what io_id     the status is known
--   DONE                 nothing is left to do
-- A last argument `unfenced` says that the try never passed the fence: AGAIN and OVER then end an emission that
-- waits, and not one of which another try's request may have left. A last argument `by <token>` says that the try
-- of this token passed the fence and did not send: then only its own intent is ended.
-- Answers {status, now}: OK, HELD (a doubt that an operator sees), or LATE with the progress that
-- stands.
local id, slot, kind, emission, verb = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now = now_ms()
local member = id .. slot .. kind
local progress = redis.call('HGET', state_key(id), slot) or ''
local p = split(progress)
local ruled
if kind == 'm' then
  local may_have_left = p[1] == 'I' or p[1] == 'D'
  if ARGV[#ARGV] == 'unfenced' and (verb == 'AGAIN' or verb == 'OVER') then may_have_left = false end
  local ours = (p[1] == 'E' or may_have_left) and p[2] == emission
  local token = string.match(ARGV[#ARGV], '^by (.*)$')
  if token then ours = p[1] == 'I' and p[2] == emission and p[5] == token end
  -- That IO made it is true whoever says it: a copy that has not left need not leave any more, and what
  -- was assumed is known.
  local known = verb == 'SENT'
    and (((p[1] == 'A' or p[1] == 'E') and is_again(p) and tonumber(emission) <= tonumber(p[2]))
      or (p[1] == 'F' and p[2] == 'inviato' and #p == 6 and p[5] == emission))
  if not (ours or known) then return { 'LATE', now, progress } end
  -- Scheduler and dispatcher may both rule on one doubt: the second does not put it off.
  if verb == 'DOUBT' and p[1] == 'D' then ruled = tonumber(redis.call('ZSCORE', DUE, member)) end
  redis.call('ZREM', DUE, member)
elseif kind == 'f' and p[1] ~= 'F' then
  redis.call('ZREM', FLY, member)
  return { 'LATE', now, progress }
end
redis.call('ZREM', FLY, member)
if verb == 'OVER' or verb == 'SENT' then
  redis.call('HSET', state_key(id), slot, 'F|' .. ARGV[6] .. '|' .. now)
  redis.call('ZREM', DOUBT, member)
  if tonumber(ARGV[7]) >= 0 then redis.call('ZADD', DUE, now + tonumber(ARGV[7]), id .. slot .. 'f') end
  if ARGV[8] == '1' then redis.call('ZADD', DUE, now, id .. '\0\0r') end
elseif verb == 'DOUBT' then
  local again, gives_up = is_again(p) and 'r' or '', ARGV[8] == 'x' and 'x' or ''
  local doubt = 'D|' .. emission .. '|' .. p[3] .. '|' .. ARGV[6] .. '|' .. now .. '|' .. again .. '|' .. gives_up
  local due = tonumber(ARGV[7]) >= 0 and (gives_up == 'x' or again == '')
  redis.call('HSET', state_key(id), slot, doubt)
  redis.call('ZREM', DOUBT, member)
  if due then redis.call('ZADD', DUE, math.min(ruled or math.huge, now + tonumber(ARGV[7])), member) end
  if not due or gives_up == 'x' then
    redis.call('ZADD', DOUBT, now, member)
    return { 'HELD', now }
  end
elseif verb == 'AGAIN' then
  redis.call('HSET', state_key(id), slot, 'A|' .. emission .. '|' .. (tonumber(p[3]) + tonumber(ARGV[7]))
    .. marks(is_again(p), ARGV[9] == 'c' or has_called(p)))
  redis.call('ZREM', DOUBT, member)
  redis.call('ZADD', DUE, now + tonumber(ARGV[6]), member)
  if tonumber(ARGV[8]) > 0 then redis.call('SET', ente .. 'std', '1', 'PX', ARGV[8]) end
elseif verb == 'LATER' then
  redis.call('ZADD', DUE, now + tonumber(ARGV[6]), member)
elseif verb == 'ENDED' then
  redis.call('HSET', state_key(id), slot, 'F|' .. ARGV[6] .. '|' .. p[3] .. '|' .. ARGV[7] .. '|' .. p[#p])
end
return { 'OK', now }
