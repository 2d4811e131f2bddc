-- Sweeps, newest first, with how many of their runs are in each state.
SELECT
    sweep,
    count(*) AS total,
    count(*) FILTER (state = 'finished') AS finished,
    count(*) FILTER (state = 'failed') AS failed,
    count(*) FILTER (state = 'cancelled') AS cancelled,
    count(*) FILTER (state IN ('running', 'cancelling')) AS running,
    count(*) FILTER (state = 'queued') AS queued,
    min(submitted_at) AS first_submitted,
    max(ended_at) AS last_ended
FROM runs
WHERE sweep IS NOT NULL
GROUP BY sweep
ORDER BY first_submitted DESC, sweep
