-- Enters into the register what the journal says. Saying it again, or in another order, changes nothing.
-- ARGV: how the register stands (empty: nothing in it) and how it stands from now on; then for each case: id, day (2 bytes, big endian), marks. A mark is the first 4 bytes of a message's key and
-- a byte that tells how far it has come; of one message the highest counts, and of the days the last.
-- A page is the day and the marks. Answers 1, or 0 if the register does not stand so: it is another copy.
if (redis.call('GET', ente .. 'read') or '') ~= ARGV[1] then return 0 end
redis.call('SET', ente .. 'read', ARGV[2])
for i = 3, #ARGV, 3 do
  local id, day, marks = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local key, field = page_key(id), string.sub(id, 3)
  local before = redis.call('HGET', key, field)
  local page = before or day
  local d1, d2 = string.byte(day, 1, 2)
  local p1, p2 = string.byte(page, 1, 2)
  if d1 * 256 + d2 > p1 * 256 + p2 then page = day .. string.sub(page, 3) end
  for at = 1, #marks, 5 do
    local name, far = string.sub(marks, at, at + 3), string.sub(marks, at + 4, at + 4)
    local place = 3
    while place < #page and string.sub(page, place, place + 3) ~= name do place = place + 5 end
    if place > #page then
      page = page .. name .. far
    elseif string.byte(far) > string.byte(page, place + 4) then
      page = string.sub(page, 1, place + 3) .. far .. string.sub(page, place + 5)
    end
  end
  if page ~= before then redis.call('HSET', key, field, page) end
end
return 1
