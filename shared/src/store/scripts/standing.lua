-- ARGV: the server's run.
-- Answers {mark, 1 if the store was found whole on this run}; the mark is empty if it is missing.
return { redis.call('GET', MARK) or '', redis.call('GET', RUN) == this_run(ARGV[1]) and 1 or 0 }
