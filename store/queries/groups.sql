-- Runs that differ in the seed and fold only, as mean, sample standard deviation and 95 % interval (Student's t, half
-- width) over the newest finished run of each; groups without a finished run have n = 0.
-- A filter chooses groups with a run that fits; it never changes which runs count.
-- $dataset text=: only this dataset
-- $model text=: only this architecture
-- $scheme text=: only this scheme
-- $search text=: only groups with a run whose id, name, dataset, model, scheme, sweep, tags or notes contain this text
-- $sweep text=: only groups with a run that stands for a cell of this sweep
-- $groups list=: only these group ids
-- $scope text= {inference|training}: scope of the densities; empty: each group's headline scope
-- $coverage text=quantized part {quantized part|whole step}: coverage of the densities
-- $limit integer=500 0..1000000: at most so many groups, newest first
WITH asked AS (
    SELECT DISTINCT group_id
    FROM runs
    WHERE ($dataset = '' OR dataset = $dataset)
      AND ($model = '' OR model = $model)
      AND ($scheme = '' OR scheme = $scheme)
      AND ($sweep = '' OR run IN (SELECT run FROM sweep_runs WHERE sweep = $sweep))
      AND ($groups = '' OR group_id IN (SELECT unnest(string_split($groups, ','))))
      AND ($search = '' OR contains(
            lower(concat_ws(' ', run, name, dataset, model, scheme, sweep, array_to_string(tags, ' '), notes)),
            lower($search)))
),
members AS (
    SELECT
        group_id,
        count(*) FILTER (state IN ('queued', 'running', 'cancelling')) AS unfinished,
        count(*) FILTER (state = 'failed') AS failed,
        max(coalesce(ended_at, submitted_at)) AS newest,
        any_value(dataset) AS dataset, any_value(model) AS model, any_value(scheme) AS scheme,
        bool_or(synthetic) AS synthetic, any_value(caveat) AS caveat,
        any_value(metric) AS metric, any_value(unit) AS unit,
        arg_min(CAST(json_merge_patch(spec, '{"seed": null, "task": {"fold": null}}') AS VARCHAR), run) AS spec
    FROM runs SEMI JOIN asked USING (group_id)
    GROUP BY group_id
),
counted AS (
    SELECT * FROM counted_runs SEMI JOIN asked USING (group_id)
),
statistics AS (
    SELECT
        group_id,
        list(DISTINCT seed ORDER BY seed) AS seeds,
        list(run ORDER BY seed, fold) AS runs,
        count(*) AS n,
        avg(test_at_best_val) AS test_mean, stddev_samp(test_at_best_val) AS test_std,
        avg(test_last) AS last_mean, stddev_samp(test_last) AS last_std,
        avg(test_max) AS max_mean, stddev_samp(test_max) AS max_std,
        avg(val_best) AS val_mean, stddev_samp(val_best) AS val_std,
        any_value(metric) AS metric, any_value(unit) AS unit, any_value(higher_is_better) AS higher_is_better,
        avg(seconds) AS seconds_mean, avg(peak_memory) AS peak_memory_mean, max(parameters) AS parameters
    FROM counted
    GROUP BY group_id
),
density AS (
    SELECT
        c.group_id,
        any_value(d.scope) AS density_scope, any_value(d.coverage) AS density_coverage,
        avg(d.memory) AS memory_density, avg(d.arithmetic) AS arithmetic_density,
        -- the least certain of the members': extrapolated, interpolated, published
        min(d.arithmetic_label) AS arithmetic_label,
        avg(d.average_bits) AS average_bits,
        avg(d.arithmetic_thesis) AS arithmetic_density_thesis, avg(d.memory_thesis) AS memory_density_thesis,
        avg(d.peak_memory_density) AS peak_memory_density
    FROM counted c
    JOIN densities headline ON headline.run = c.run AND headline.rank = 1
    JOIN densities d ON d.run = c.run AND d.coverage = $coverage
        AND d.scope = coalesce(nullif($scope, ''), headline.scope)
    GROUP BY c.group_id
)
SELECT
    m.group_id, m.dataset, m.model, m.scheme,
    coalesce(s.seeds, []) AS seeds, coalesce(s.runs, []) AS runs, coalesce(s.n, 0) AS n,
    s.test_mean, s.test_std, t975(s.n - 1) * s.test_std / sqrt(s.n) AS test_ci95,
    s.last_mean, s.last_std, s.max_mean, s.max_std, s.val_mean, s.val_std,
    coalesce(s.metric, m.metric) AS metric, coalesce(s.unit, m.unit) AS unit, s.higher_is_better,
    d.density_scope, d.density_coverage, d.memory_density, d.arithmetic_density, d.arithmetic_label, d.average_bits,
    d.arithmetic_density_thesis, d.memory_density_thesis, d.peak_memory_density,
    s.seconds_mean, s.peak_memory_mean, s.parameters,
    m.unfinished, m.failed, m.newest, m.synthetic, m.caveat, m.spec
FROM members m
LEFT JOIN statistics s ON s.group_id = m.group_id
LEFT JOIN density d ON d.group_id = m.group_id
ORDER BY m.newest DESC, m.group_id
LIMIT $limit
