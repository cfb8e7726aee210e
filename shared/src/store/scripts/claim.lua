-- Moves what is due to the in-flight set, with a lease.
-- ARGV: most entries, lease (ms), most in flight, lowest mark of a whole store (empty: unchecked), the
-- claimer's clock (ms; empty: not compared), the newest format that the claimer reads, the server's run.
-- Answers {now, STANDARD flag, in flight, entries, mark}; the mark is -1 if the store lost something, and
-- then nothing is given out; nor if the two clocks are more than 30 s apart, and then the mark is 0; nor if
-- the store has a newer format F, and then the mark is -1 - F.
-- An entry is {member, due, emission, blob, progress}.
local limit, lease, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
-- In the script, because a clock may jump between a look at it and a claim.
local ours = tonumber(ARGV[5])
if ours and math.abs(now - ours) > 30000 then return { now, 0, 0, {}, 0 } end
local entries = {}
if format() > tonumber(ARGV[6]) then return { now, 0, 0, entries, -1 - format() } end
if not is_whole(ARGV[4], ARGV[7]) then return { now, 0, 0, entries, -1 } end
local mark = 0
if ARGV[4] ~= '' then
  local t = redis.call('TIME')
  -- Never back: a clock that was set back must not look like a loss.
  mark = math.max(t[1] * 1000 + math.floor(t[2] / 1000), tonumber(redis.call('GET', MARK)))
  redis.call('SET', MARK, mark)
end
-- Sets and cases are touched once for many members: a call into Redis costs more than the work it does.
local out_of_fly, into_doubt, into_due, out_of_due, into_fly, cases = {}, {}, {}, {}, {}, {}
local out_of_doubt = {}
local function give(member, due, emission, progress)
  entries[#entries + 1] = { member, tostring(due), emission, false, progress }
  cases[#cases + 1] = case_key(string.sub(member, 1, 12))
end
local function put(list, score, member)
  list[#list + 1] = score
  list[#list + 1] = member
end
-- Leases that ended: what may have left is in doubt, the rest is due again. A doubt stays in flight until
-- the scheduler has ruled on it: if that one dies first, another is given it.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', FLY, '-inf', now, 'LIMIT', 0, limit)) do
  local id, slot, kind = string.sub(member, 1, 12), string.sub(member, 13, 14), string.sub(member, 15)
  local progress = kind == 'm' and redis.call('HGET', state_key(id), slot) or ''
  local p = split(progress or '')
  out_of_fly[#out_of_fly + 1] = member
  if p[1] == 'I' or p[1] == 'D' then
    if p[1] == 'I' then
      progress = 'D|' .. p[2] .. '|' .. p[3] .. '|lease-ended|' .. now .. '|' .. (is_again(p) and 'r' or '') .. '|'
      redis.call('HSET', state_key(id), slot, progress)
    end
    put(into_doubt, now, member)
    put(into_fly, now + lease, member)
    give(member, now, tonumber(p[2]), progress)
  elseif p[1] ~= 'F' then
    put(into_due, now, member)
  end
end
in_chunks('ZREM', FLY, out_of_fly)
in_chunks('ZADD', DOUBT, into_doubt)
in_chunks('ZADD', DUE, into_due)
in_chunks('ZADD', FLY, into_fly)
into_fly = {}
local in_flight = redis.call('ZCARD', FLY)
local room = math.min(limit - #entries, most - in_flight)
if room > 0 then
  local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'WITHSCORES', 'LIMIT', 0, room)
  for i = 1, #due, 2 do
    local member, score = due[i], due[i + 1]
    local id, slot, kind = string.sub(member, 1, 12), string.sub(member, 13, 14), string.sub(member, 15)
    local progress = redis.call('HGET', state_key(id), slot)
    out_of_due[#out_of_due + 1] = member
    if kind ~= 'm' then
      put(into_fly, now + lease, member)
      give(member, score, 0, progress or '')
    else
      local p = progress and split(progress) or { 'A', '0', '0' }
      if p[1] == 'D' and p[7] == 'x' then
        put(into_fly, now + lease, member)
        give(member, score, tonumber(p[2]), progress)
      elseif p[1] == 'A' or p[1] == 'E' or p[1] == 'D' then
        local emission = tonumber(p[2]) + 1
        -- `r`: it is sent again after a doubt, and never a third time.
        local emitted = 'E|' .. emission .. '|' .. p[3] .. marks(p[1] == 'D' or is_again(p), has_called(p))
        redis.call('HSET', state_key(id), slot, emitted)
        put(into_fly, now + lease, member)
        if p[1] == 'D' then out_of_doubt[#out_of_doubt + 1] = member end
        give(member, score, emission, emitted)
      end
    end
  end
end
in_chunks('ZREM', DUE, out_of_due)
in_chunks('ZREM', DOUBT, out_of_doubt)
in_chunks('ZADD', FLY, into_fly)
for i, blob in ipairs(in_chunks('MGET', nil, cases)) do entries[i][4] = blob end
return { now, redis.call('EXISTS', ente .. 'std'), in_flight, entries, mark }
