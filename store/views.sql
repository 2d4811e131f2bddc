-- What several queries share; made anew each time the store opens the database.

-- Student's t at 97.5 % for so many degrees of freedom: a table to 30, then Fisher's expansion (within 1e-4).
CREATE OR REPLACE MACRO t975(df) AS CASE
    WHEN df < 1 THEN NULL
    WHEN df <= 30 THEN [
        12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
        2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963,
        2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272
    ][CAST(df AS BIGINT)]
    ELSE 1.959964 + 2.372271 / df + 2.822499 / (df * df)
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
    r.attempt, r.attempts, a.worker, a.host, a.device AS run_device,
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
    CAST(r.spec AS VARCHAR) AS spec,
    s.peak_memory, r.origin, s.parameters,
    CAST(a.provenance AS VARCHAR) AS provenance
FROM runs r
LEFT JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
LEFT JOIN summary s ON s.run = r.run
LEFT JOIN densities d ON d.run = r.run AND d.rank = 1
LEFT JOIN queue q ON q.run = r.run;
