-- A sweep's grid, in the order of service: each cell with the run that stands for it, and how far that is. `state` is
-- "missing" where there is no run: the budget allowed none, or it was deleted. A sweep of an older Bitfront has the cells
-- of the runs that bear its name.
-- $sweep text: id of the sweep
WITH cells AS (
    SELECT place, hash, group_id, dataset, model, scheme, seed, fold, run, own FROM sweep_cells WHERE sweep = $sweep
    UNION ALL
    SELECT
        row_number() OVER (ORDER BY submitted_at, run) - 1, NULL, group_id, dataset, model, scheme, seed,
        CASE
            WHEN TRY_CAST(json_extract(spec, '$.task.folds') AS INTEGER) > 0
            THEN TRY_CAST(json_extract(spec, '$.task.fold') AS INTEGER)
        END,
        run, true
    FROM runs
    WHERE sweep = $sweep AND $sweep NOT IN (SELECT sweep FROM sweeps)
)
SELECT
    c.place, c.hash, c.group_id, c.dataset, c.model, c.scheme, c.seed, c.fold, c.run, c.own AND r.run IS NOT NULL AS own,
    coalesce(r.state, 'missing') AS state, r.attempt, r.origin, r.reason, coalesce(a.epoch, 0) AS epoch,
    coalesce(a.total_epochs, r.total_epochs) AS total_epochs, json_extract_string(a.provenance, '$.code') AS code
FROM cells c
LEFT JOIN runs r ON r.run = c.run
LEFT JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
ORDER BY c.place
