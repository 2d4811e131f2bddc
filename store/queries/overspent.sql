-- Runs that go on, of sweeps whose workers have spent the hours that they may: what the dispatcher cancels.
SELECT DISTINCT o.run
FROM sweeps s
JOIN sweep_hours h ON h.sweep = s.sweep
JOIN (
    SELECT sweep, run FROM sweep_runs WHERE own
    UNION
    SELECT sweep, run FROM runs WHERE sweep IS NOT NULL  -- cells that another run stands for by now
) o ON o.sweep = s.sweep
JOIN runs r ON r.run = o.run
WHERE h.hours >= s.most_hours AND r.state IN ('queued', 'running')
ORDER BY o.run
