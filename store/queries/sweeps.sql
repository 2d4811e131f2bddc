-- Sweeps, newest first: how many of their cells are in each state ("missing": no run stands for them), the hours that workers
-- have spent on what they launched, their budget, and the seconds of work left, estimated from finished runs of the same
-- dataset, architecture and scheme, else of fewer of these (NULL: none has finished yet). `plan`: the table that gives the
-- sweep (NULL: an older Bitfront launched it).
-- $sweep text=: only this one
-- $limit integer=500 0..1000000: at most so many
WITH cells AS (
    SELECT sweep, run FROM sweep_cells WHERE $sweep = '' OR sweep = $sweep
    UNION ALL
    SELECT sweep, run FROM runs
    WHERE sweep IS NOT NULL AND ($sweep = '' OR sweep = $sweep) AND sweep NOT IN (SELECT sweep FROM sweeps)
),
known AS MATERIALIZED (SELECT * FROM paces),
states AS (
    SELECT
        c.sweep, r.run, r.state, r.submitted_at, r.ended_at,
        CASE
            WHEN r.state IN ('queued', 'running', 'cancelling')
            THEN greatest(coalesce(a.total_epochs, r.total_epochs) - coalesce(a.epoch, 0), 0)
                * coalesce(h.seconds_per_epoch, p.seconds_per_epoch, d.seconds_per_epoch, e.seconds_per_epoch)
        END AS seconds_left
    FROM cells c
    LEFT JOIN (
        SELECT *, CASE WHEN state IN ('queued', 'running', 'cancelling') THEN dataset_of(spec) END AS data FROM runs
    ) r ON r.run = c.run
    LEFT JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
    LEFT JOIN known h ON h.dataset = r.data AND h.model = r.model AND h.scheme = r.scheme
    LEFT JOIN known p ON p.dataset = r.data AND p.model = r.model AND p.scheme IS NULL
    LEFT JOIN known d ON d.dataset = r.data AND d.model IS NULL
    LEFT JOIN known e ON e.dataset IS NULL
)
SELECT
    t.sweep,
    count(*) AS total,
    count(*) FILTER (t.state = 'finished') AS finished,
    count(*) FILTER (t.state = 'failed') AS failed,
    count(*) FILTER (t.state = 'cancelled') AS cancelled,
    count(*) FILTER (t.state IN ('running', 'cancelling')) AS running,
    count(*) FILTER (t.state = 'queued') AS queued,
    count(*) FILTER (t.run IS NULL) AS missing,
    coalesce(any_value(s.launched_at), min(t.submitted_at)) AS first_submitted,
    max(t.ended_at) AS last_ended,
    coalesce(any_value(s.name), t.sweep) AS name,
    coalesce(any_value(h.hours), 0) AS hours, any_value(s.most_hours) AS most_hours, any_value(s.most_runs) AS most_runs,
    sum(t.seconds_left) AS seconds_left,
    CAST(any_value(s.plan) AS VARCHAR) AS plan
FROM states t
LEFT JOIN sweeps s ON s.sweep = t.sweep
LEFT JOIN sweep_hours h ON h.sweep = t.sweep
GROUP BY t.sweep
ORDER BY first_submitted DESC, t.sweep
LIMIT $limit
