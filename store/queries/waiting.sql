-- The first runs in the queue, in the order in which they are handed out. `total`: how many wait.
-- $limit integer=20 0..1000: at most so many rows
SELECT
    row_number() OVER (ORDER BY priority, submitted_at, run) AS place,
    run, scheme, dataset, model, seed, priority, device, submitted_at, sweep, synthetic,
    count(*) OVER () AS total
FROM runs
WHERE state = 'queued' AND origin = 'queue'
ORDER BY place
LIMIT $limit
