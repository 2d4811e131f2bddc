-- Runs that are not over, in the order of service: what the dispatcher looks at.
-- `attempt` is the newest seen (0 if none), `attempts_failed` how many were replaced by a newer one.
SELECT
    r.run, r.state, r.priority, r.device, r.submitted_at, r.attempt,
    greatest(r.attempts - 1, 0) AS attempts_failed, a.heard_at,
    CAST(r.spec AS VARCHAR) AS spec
FROM runs r
LEFT JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
WHERE r.state IN ('queued', 'running', 'cancelling')
ORDER BY r.priority, r.submitted_at, r.run
