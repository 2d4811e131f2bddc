-- The state of runs, and the device that they asked for.
-- $runs list: run ids
SELECT run, state, device
FROM runs
WHERE list_contains(string_split($runs, ','), run)
ORDER BY run
