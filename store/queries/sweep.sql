-- The runs that stand for a sweep's cells, in the order of their submission; columns as in `runs`.
-- $sweep text: id of the sweep
SELECT * EXCLUDE (parameters, provenance)
FROM run_rows
WHERE run IN (SELECT run FROM sweep_runs WHERE sweep = $sweep)
ORDER BY submitted_at, run
