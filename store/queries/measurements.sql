-- What the newest separate pass has measured of runs and of their fp32 twins (bytes, seconds), and where.
-- $runs list: run ids
SELECT run, quantity, variant, value, host, cpu, device, threads, allocator, epochs, CAST(software AS VARCHAR) AS software,
    measured_at
FROM measurements
WHERE list_contains(string_split($runs, ','), run)
ORDER BY run, quantity, variant DESC
