-- Other test metrics of groups' finished runs at best validation, by name and unit: the mean over the newest run of each
-- seed and fold.
-- $groups list=: only these group ids
SELECT group_id, metric.key AS name, avg(metric.value) AS value, stddev_samp(metric.value) AS std, count(*) AS n
FROM (
    SELECT group_id, unnest(map_entries(from_json(also, '"MAP(VARCHAR, DOUBLE)"'))) AS metric
    FROM counted_runs
    WHERE also IS NOT NULL AND is_listed(group_id, $groups)
)
GROUP BY group_id, metric.key
ORDER BY group_id, name
