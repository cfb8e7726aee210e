-- What every script of the store starts with.
--
-- KEYS[1] is the ente's prefix, for example `pm:{borgochiaro}:`; every other key is made from it and so
-- lies in the same hash slot. A member of the sorted sets is 12 bytes of case, 2 bytes of slot (big
-- endian) and 1 byte of kind: `m` message, `f` follow its status, `r` look at the case again.
--
-- Progress of a message, in the hash `s:<case>` under its slot:
--   A|emissions|failures|r|c             waits in the schedule (absent: never emitted)
--   E|emissions|failures|r|c             emitted
--   I|emissions|failures|r|token         the request may leave at any moment
--   D|emissions|failures|why|since|r|x   it may have been sent: in doubt; `x`: given up when it is due
--   F|what|...|when                      over
-- `r` (the fourth part of A, E and I) says that it is sent again after a doubt, `c` that its last emission
-- made a call of IO that failed; what is empty at the end is left out. A sending that is only
-- assumed is `F|inviato|level||emission|when`. The transitions are those of `domain/message_state.rs`.
local ente = KEYS[1]
local DUE, FLY, DOUBT = ente .. 'due', ente .. 'fly', ente .. 'doubt'
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000) + CLOCK_OFFSET()
end
-- The mark: Redis' own clock at the last claim, whatever the tests do to `now_ms`. Beside it the run of the server
-- that the store was found whole on. A store whose mark is lower than `least` lost something. So may one on another
-- run, because a server that was started again, or took over, need not have the last of what was written: no mark
-- tells, if that came after the last claim. An empty `least` asks for no such check. Answers whether it is whole.
local MARK, RUN = ente .. 'mark', ente .. 'run'
-- This server's run; a caller who is on one connection knows it, and asks with `?` where that may be any node's.
local function this_run(known)
  if known ~= '?' then return known end
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end
local function is_whole(least, run)
  if least == '' then return true end
  return tonumber(redis.call('GET', MARK) or '-1') >= tonumber(least) and redis.call('GET', RUN) == this_run(run)
end
-- The format of what is stored, raised by the first commit of a release that writes a newer one. A build that
-- reads up to `newest` leaves a store of a later one alone.
local FORMAT = ente .. 'format'
local function format() return tonumber(redis.call('GET', FORMAT) or '0') end
local function split(state)
  local parts = {}
  for part in string.gmatch(state .. '|', '([^|]*)|') do parts[#parts + 1] = part end
  return parts
end
-- Whether it is sent again after a doubt.
local function is_again(p)
  if p[1] == 'D' then return p[6] == 'r' end
  return p[4] == 'r'
end
-- Whether its last emission made a call that failed.
local function has_called(p) return (p[1] == 'A' or p[1] == 'E') and p[5] == 'c' end
-- The fourth and fifth part of A and E.
local function marks(again, called) return (again and '|r' or called and '|' or '') .. (called and '|c' or '') end
local function case_key(id) return ente .. 'c:' .. id end
local function state_key(id) return ente .. 's:' .. id end
-- The register's page of a case is a field of this hash: the rest of its id.
local function page_key(id) return ente .. 'j:' .. string.sub(id, 1, 2) end
-- One command over many arguments, as many at once as Lua's stack takes with room to spare (its limit is
-- 8000); an even number, so that pairs stay together. Answers all that they answered, one after the other.
local function in_chunks(command, key, arguments)
  local answers = {}
  for first = 1, #arguments, 1000 do
    local call = key and { command, key } or { command }
    for i = first, math.min(first + 999, #arguments) do call[#call + 1] = arguments[i] end
    local answer = redis.call(unpack(call))
    if type(answer) == 'table' then
      for i = 1, #answer do answers[#answers + 1] = answer[i] end
    end
  end
  return answers
end
