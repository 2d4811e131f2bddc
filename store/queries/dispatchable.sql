-- Runs that are not over, in the order of service: what the dispatcher looks at.
-- `attempt` is the newest seen (0 if none), `attempts_failed` how many were replaced by a newer one.
-- `silent_seconds`: since something was heard of the newest attempt.
-- Runs that train in the process which launched them are not among these.
-- $limit integer=500 0..1000000: at most so many queued runs of each device, so that a long queue is cheap to ask
SELECT
    r.run, r.state, r.priority, r.device, r.submitted_at, r.attempt,
    greatest(r.attempts - 1, 0) AS attempts_failed, a.heard_at,
    epoch(now() - a.heard_at) AS silent_seconds,
    CAST(r.spec AS VARCHAR) AS spec
FROM runs r
LEFT JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
WHERE r.state IN ('queued', 'running', 'cancelling') AND r.origin = 'queue'
QUALIFY r.state <> 'queued'
    OR row_number() OVER (PARTITION BY r.state, r.device ORDER BY r.priority, r.submitted_at, r.run) <= $limit
ORDER BY r.priority, r.submitted_at, r.run
