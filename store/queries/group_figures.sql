-- What follows from the ledgers of groups' finished runs, by the name of its definition: the mean over the newest run of
-- each seed and fold.
-- $groups list=: only these group ids
SELECT c.group_id, f.name, avg(f.value) AS value
FROM counted_runs c
JOIN figures f ON f.run = c.run
WHERE is_listed(c.group_id, $groups)
GROUP BY c.group_id, f.name
ORDER BY c.group_id, f.name
