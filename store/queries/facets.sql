-- The datasets, architectures, schemes, sweeps and tags that occur, with the number of runs: for filters.
SELECT kind, value, count(*) AS n
FROM (
    SELECT 'dataset' AS kind, dataset AS value FROM runs
    UNION ALL SELECT 'model', model FROM runs
    UNION ALL SELECT 'scheme', scheme FROM runs
    UNION ALL SELECT 'sweep', sweep FROM sweep_runs
    UNION ALL SELECT 'tag', unnest(tags) FROM runs
)
GROUP BY kind, value
ORDER BY kind, n DESC, value
