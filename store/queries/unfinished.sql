-- Ids of the runs that are not over, in the order of service; without those that train where they were launched.
SELECT run
FROM runs
WHERE state IN ('queued', 'running', 'cancelling') AND origin = 'queue'
ORDER BY priority, submitted_at, run
