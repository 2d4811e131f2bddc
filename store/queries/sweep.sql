-- The runs of one sweep, in the order of their submission; columns as in `runs`.
-- $sweep text: name of the sweep
SELECT * EXCLUDE (parameters, provenance)
FROM run_rows
WHERE sweep = $sweep
ORDER BY submitted_at, run
