-- When and why the precision of runs was decided, one row a decision, the start's first: the label of the ladder's step
-- that holds from this epoch on, the signal, its value and the threshold that it was compared with. `changes`: how many
-- formats (of a site, layer and product) are other ones than before.
-- $runs list: run ids
SELECT run, epoch, label, signal, value, threshold, reason, count(format) AS changes
FROM precision
WHERE run IN (SELECT unnest(string_split($runs, ',')))
GROUP BY ALL
ORDER BY run, epoch, label
