-- The confirmation of a search's winner, seed by seed: test metrics at best validation, its own and fp32's.
-- $search text: id of the search
SELECT
    t.seed,
    max(CASE WHEN t.point IS NOT NULL THEN s.test_at_best_val END) AS winner,
    max(CASE WHEN t.point IS NULL THEN s.test_at_best_val END) AS fp32
FROM trials t
JOIN runs r ON r.run = t.run AND r.state = 'finished'
JOIN summary s ON s.run = t.run
WHERE t.search = $search AND t.stage = 'confirm'
GROUP BY t.seed
ORDER BY t.seed
