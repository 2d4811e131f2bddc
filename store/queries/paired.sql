-- The difference of two groups, seed by seed and fold by fold: a minus b in the test metric at best validation, with its
-- mean, sample standard deviation and 95 % interval (Student's t over the differences). Only what both have counts.
-- $pairs list: pairs of group ids, a:b
WITH asked AS (
    SELECT place, split_part(pair, ':', 1) AS a, split_part(pair, ':', 2) AS b
    FROM (
        SELECT generate_subscripts(string_split($pairs, ','), 1) AS place, unnest(string_split($pairs, ',')) AS pair
    )
    WHERE pair <> ''
),
differences AS (
    SELECT asked.a, asked.b, a.seed, a.test_at_best_val AS test_a, b.test_at_best_val AS test_b, a.metric, a.unit,
        a.higher_is_better
    FROM asked
    JOIN counted_runs a ON a.group_id = asked.a
    JOIN counted_runs b ON b.group_id = asked.b AND b.seed = a.seed
        AND b.fold IS NOT DISTINCT FROM a.fold
),
statistics AS (
    SELECT
        a, b,
        list(DISTINCT seed ORDER BY seed) AS seeds, count(*) AS n,
        avg(test_a) AS mean_a, avg(test_b) AS mean_b,
        avg(test_a - test_b) AS difference, stddev_samp(test_a - test_b) AS std,
        any_value(metric) AS metric, any_value(unit) AS unit, any_value(higher_is_better) AS higher_is_better
    FROM differences
    WHERE test_a IS NOT NULL AND test_b IS NOT NULL
    GROUP BY a, b
)
SELECT
    asked.a, asked.b, coalesce(s.seeds, []) AS seeds, coalesce(s.n, 0) AS n, s.mean_a, s.mean_b, s.difference, s.std,
    t975(s.n - 1) * s.std / sqrt(s.n) AS ci95,
    s.metric, s.unit, s.higher_is_better
FROM asked
LEFT JOIN statistics s ON s.a = asked.a AND s.b = asked.b
ORDER BY asked.place
