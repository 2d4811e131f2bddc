-- What was measured of groups' runs: the mean over the measured ones of each group, beside their fp32 twins'.
-- $groups list=: only these group ids
SELECT c.group_id, m.quantity, m.variant, avg(m.value) AS value, count(*) AS n
FROM counted_runs c
JOIN measurements m ON m.run = c.run
WHERE is_listed(c.group_id, $groups)
GROUP BY c.group_id, m.quantity, m.variant
ORDER BY c.group_id, m.quantity, m.variant DESC
