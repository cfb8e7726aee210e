-- The store is whole: its mark is the present, its run this server's. ARGV: the server's run. Answers the mark.
local t = redis.call('TIME')
local mark = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('SET', MARK, mark)
redis.call('SET', RUN, this_run(ARGV[1]))
return mark
