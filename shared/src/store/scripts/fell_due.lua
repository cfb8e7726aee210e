-- Takes what fell due from the number of armed timers. ARGV: rule and count, in turn.
for i = 1, #ARGV, 2 do redis.call('HINCRBY', ente .. 'armed', ARGV[i], -tonumber(ARGV[i + 1])) end
return #ARGV / 2
