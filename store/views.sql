-- What several queries share; made anew where a database that is opened has another text of it.

-- Student's t at 97.5 % for so many degrees of freedom: a table to 30, then Fisher's expansion to df^-4 (within 3e-8).
CREATE OR REPLACE MACRO t975(df) AS CASE
    WHEN df < 1 THEN NULL
    WHEN df <= 30 THEN [
        12.706204736175, 4.302652729749, 3.182446305284, 2.776445105198, 2.570581835636,
        2.446911851145, 2.364624251593, 2.306004135204, 2.262157162798, 2.228138851986,
        2.200985160092, 2.178812829667, 2.160368656463, 2.144786687918, 2.131449545560,
        2.119905299221, 2.109815577833, 2.100922040241, 2.093024054408, 2.085963447266,
        2.079613844728, 2.073873067904, 2.068657610419, 2.063898561628, 2.059538552753,
        2.055529438643, 2.051830516480, 2.048407141795, 2.045229642133, 2.042272456301
    ][CAST(df AS BIGINT)]
    ELSE 1.959963984540 + 2.372271230299 / df + 2.822498615740 / pow(df, 2) + 2.555849679508 / pow(df, 3)
        + 1.589534053394 / pow(df, 4)
END;

CREATE OR REPLACE MACRO is_listed(value, list) AS list = '' OR list_contains(string_split(list, ','), value);

-- One row a run, as people look at it: the run, its newest attempt, its summary and its headline densities.
CREATE OR REPLACE VIEW run_rows AS
WITH queue AS (
    SELECT run, row_number() OVER (ORDER BY priority, submitted_at, run) AS queue_position
    FROM runs
    WHERE state = 'queued' AND origin = 'queue'
)
SELECT
    r.run, r.group_id, r.state, r.dataset, r.model, r.scheme, r.seed, r.device, r.priority, r.sweep,
    r.name, r.tags, r.notes,
    r.submitted_at, a.started_at, r.ended_at, a.heard_at,
    -- "running" means heard from within 15 seconds
    r.state IN ('running', 'cancelling') AND a.heard_at < now() - INTERVAL 15 SECONDS AS is_silent,
    r.attempt, r.attempts, a.worker, a.host, a.device AS run_device,
    w.memory AS worker_memory,  -- resident, bytes, of the worker that trains it now
    coalesce(a.epoch, 0) AS epoch,
    coalesce(a.total_epochs, r.total_epochs) AS total_epochs,
    a.train_loss, a.val_loss, a.train_metric, a.val_metric, a.test_metric,
    coalesce(s.val_best, a.best_val) AS best_val,
    coalesce(s.test_at_best_val, a.test_at_best_val) AS test_at_best_val,
    -- before an epoch that counts there is nothing to select
    coalesce(s.test_last, CASE WHEN a.best_epoch IS NOT NULL THEN a.test_metric END) AS test_last,
    coalesce(s.test_max, a.test_max) AS test_max,
    coalesce(s.best_epoch, a.best_epoch) AS best_epoch,
    coalesce(s.metric, r.metric) AS metric,
    coalesce(s.unit, r.unit) AS unit,
    CASE WHEN a.seconds > 0 THEN a.epochs / a.seconds END AS epochs_per_second,
    coalesce(s.seconds, a.seconds) AS seconds,
    CASE
        WHEN r.state IN ('running', 'cancelling') AND a.epochs > 0
        THEN greatest(coalesce(a.total_epochs, r.total_epochs) - a.epoch, 0) * a.seconds / a.epochs
    END AS seconds_left,
    q.queue_position,
    r.reason,
    coalesce(a.gap, false) AS gap,
    r.synthetic, r.caveat,
    d.scope AS density_scope, d.coverage AS density_coverage,
    d.memory AS memory_density, d.arithmetic AS arithmetic_density, d.arithmetic_label, d.average_bits,
    d.arithmetic_thesis AS arithmetic_density_thesis, d.memory_thesis AS memory_density_thesis, d.peak_memory_density,
    CAST(r.spec AS VARCHAR) AS spec,
    s.peak_memory, r.origin, r.parent, s.parameters, CAST(s.also AS VARCHAR) AS also,
    json_extract_string(r.spec, '$.task.name') AS task,
    -- the part of a cross-validation that tests; null where there are no folds
    CASE
        WHEN TRY_CAST(json_extract(r.spec, '$.task.folds') AS INTEGER) > 0
        THEN TRY_CAST(json_extract(r.spec, '$.task.fold') AS INTEGER)
    END AS fold,
    coalesce(s.higher_is_better, r.higher_is_better) AS higher_is_better,
    CAST(a.provenance AS VARCHAR) AS provenance
FROM runs r
LEFT JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
LEFT JOIN workers w ON w.worker = a.worker AND w.current_run = r.run AND w.current_attempt = a.attempt
LEFT JOIN summary s ON s.run = r.run
LEFT JOIN densities d ON d.run = r.run AND d.rank = 1
LEFT JOIN queue q ON q.run = r.run;

-- What statistics over seeds and folds count: the newest finished run of each of a group, with its summary.
CREATE OR REPLACE VIEW counted_runs AS
SELECT r.group_id, r.seed, TRY_CAST(json_extract(r.spec, '$.task.fold') AS INTEGER) AS fold, s.*
FROM runs r
JOIN summary s ON s.run = r.run
WHERE r.state = 'finished'
QUALIFY row_number() OVER (
    PARTITION BY r.group_id, r.seed, json_extract(r.spec, '$.task.fold') ORDER BY r.ended_at DESC, r.run DESC) = 1;

-- The runs that stand for a sweep's cells. A sweep that an older Bitfront launched, or that was rebuilt from records of its
-- runs alone, is a name that they bear.
CREATE OR REPLACE VIEW sweep_runs AS
SELECT sweep, run, own FROM sweep_cells WHERE run IS NOT NULL
UNION ALL
SELECT r.sweep, r.run, true AS own FROM runs r WHERE r.sweep IS NOT NULL AND r.sweep NOT IN (SELECT sweep FROM sweeps);

-- The time that workers have spent on what each sweep launched, attempts that were lost or replaced included.
CREATE OR REPLACE VIEW sweep_hours AS
SELECT own.sweep, sum(greatest(epoch(coalesce(a.ended_at, a.heard_at) - a.started_at), 0)) / 3600 AS hours
FROM (
    SELECT sweep, run FROM sweep_runs WHERE own
    UNION
    SELECT sweep, run FROM runs WHERE sweep IS NOT NULL  -- cells that another run stands for by now
) own
JOIN attempts a ON a.run = own.run
WHERE a.started_at IS NOT NULL
GROUP BY own.sweep;

-- A run's dataset with its options, JSON text: a generated graph of another size, or another upload, is another dataset.
CREATE OR REPLACE MACRO dataset_of(spec) AS CAST(json_extract(spec, '$.dataset') AS VARCHAR);

-- Seconds an epoch that finished runs took, by dataset (as `dataset_of` has it), architecture and scheme, and of fewer of these
-- where NULL stands: what a run will take is told by the most that is known of it (paces of the whole store last).
CREATE OR REPLACE VIEW paces AS
SELECT
    r.dataset, r.model, r.scheme,
    sum(epoch(a.ended_at - a.started_at)) / sum(a.epochs) AS seconds_per_epoch,
    count(*) AS n
FROM (SELECT run, attempt, state, dataset_of(spec) AS dataset, model, scheme FROM runs) r
JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
WHERE r.state = 'finished' AND a.epochs > 0 AND a.ended_at >= a.started_at
GROUP BY GROUPING SETS ((r.dataset, r.model, r.scheme), (r.dataset, r.model), (r.dataset), ());
