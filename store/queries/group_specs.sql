-- What the runs of each group share: the spec without its seed and fold, as JSON text.
-- $groups list=: only these group ids
SELECT
    group_id,
    arg_min(CAST(json_merge_patch(spec, '{"seed": null, "task": {"fold": null}}') AS VARCHAR), run) AS spec
FROM runs
WHERE is_listed(group_id, $groups)
GROUP BY group_id
ORDER BY group_id
