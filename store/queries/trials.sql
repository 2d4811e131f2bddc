-- The runs that a search asked for, with what came of them in validation: what a search may know, and no test metric.
-- `content` is that of the model which the run has left. A run that the store has not heard of has no state.
-- $search text: id of the search
SELECT
    t.number, t.run, t.stage, t.batch, t.scheme, t.seed, t.point, t.cost, t.predicted,
    r.state, r.reason, r.metric, r.unit, r.higher_is_better, s.val_best, s.seconds, a.content
FROM trials t
LEFT JOIN runs r ON r.run = t.run
LEFT JOIN summary s ON s.run = t.run AND r.state = 'finished'
LEFT JOIN artifacts a ON a.run = t.run AND a.content IS NOT NULL
WHERE t.search = $search
ORDER BY t.number
