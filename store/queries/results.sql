-- One row a run, narrow, for comparing: who it is, its state, and where it has finished its test metric by three
-- selections, its cost and its densities in one scope and coverage. `counted`: the newest finished run of its group,
-- seed and fold, which is the one that statistics count. `sweeps`: those of which it stands for a cell. `about` is what
-- a search looks into, in small letters.
-- $scope text=training {inference|training}: scope of the densities
-- $coverage text=quantized part {quantized part|whole step}: coverage of the densities
-- $candidates text=hidden {hidden|shown}: runs that a search fine-tuned for a few epochs only, to measure a scheme
-- $limit integer=100000 0..1000000: at most so many runs, newest first
WITH named AS (
    SELECT *, json_extract_string(spec, ['$.task.name', '$.task.fold', '$.task.folds']) AS task_parts
    FROM runs
    WHERE $candidates = 'shown'
        OR run NOT IN (SELECT run FROM trials WHERE stage IN ('baseline', 'few', 'measure'))
    ORDER BY submitted_at DESC, run DESC
    LIMIT $limit
),
cells AS (SELECT run, list(DISTINCT sweep) AS sweeps FROM sweep_runs GROUP BY run)
SELECT
    r.run, r.group_id, r.state, r.dataset, r.model, r.scheme, r.seed,
    CASE WHEN TRY_CAST(r.task_parts[3] AS INTEGER) > 0 THEN TRY_CAST(r.task_parts[2] AS INTEGER) END AS fold,
    coalesce(r.task_parts[1], '') AS task,
    r.sweep, coalesce(w.sweeps, if(r.sweep IS NULL, [], [r.sweep])) AS sweeps, r.tags, r.submitted_at, r.synthetic, r.caveat,
    coalesce(a.device, r.device) AS device, a.host,
    c.run IS NOT NULL AS counted,
    coalesce(s.metric, r.metric) AS metric, coalesce(s.unit, r.unit) AS unit,
    coalesce(s.higher_is_better, r.higher_is_better) AS higher_is_better,
    s.test_at_best_val AS test, s.test_last AS last, s.test_max AS max, s.val_best AS val, CAST(s.also AS VARCHAR) AS also,
    s.seconds, s.peak_memory, s.parameters,
    d.memory AS memory_density, d.arithmetic AS arithmetic_density, d.arithmetic_label, d.average_bits,
    d.memory_thesis AS memory_density_thesis, d.arithmetic_thesis AS arithmetic_density_thesis, d.peak_memory_density,
    lower(concat_ws(' ', r.run, r.name, r.dataset, r.model, r.scheme, r.sweep, array_to_string(r.tags, ' '), r.notes))
        AS about
FROM named r
LEFT JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
LEFT JOIN summary s ON s.run = r.run AND r.state = 'finished'
LEFT JOIN counted_runs c ON c.run = r.run
LEFT JOIN cells w ON w.run = r.run
LEFT JOIN densities d ON d.run = r.run AND d.scope = $scope AND d.coverage = $coverage
ORDER BY r.submitted_at DESC, r.run DESC
