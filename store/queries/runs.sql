-- Runs with their progress, newest first.
-- $states list= {queued|running|cancelling|finished|failed|cancelled}: only runs in these states
-- $dataset text=: only this dataset
-- $model text=: only this architecture
-- $scheme text=: only this scheme
-- $search text=: only runs whose id, name, dataset, model, scheme, sweep, tags or notes contain this text
-- $sweep text=: only runs that stand for a cell of this sweep
-- $runs list=: only these run ids
-- $limit integer=200 0..1000000: at most so many rows
-- $offset integer=0 0..: leave out so many first
WITH page AS (  -- chosen from the narrow table first: joining all runs would cost more than all the rest
    SELECT run
    FROM runs
    WHERE is_listed(state, $states)
      AND ($dataset = '' OR dataset = $dataset)
      AND ($model = '' OR model = $model)
      AND ($scheme = '' OR scheme = $scheme)
      AND ($sweep = '' OR run IN (SELECT run FROM sweep_runs WHERE sweep = $sweep))
      AND ($runs = '' OR run IN (SELECT unnest(string_split($runs, ','))))
      AND ($search = '' OR contains(
            lower(concat_ws(' ', run, name, dataset, model, scheme, sweep, array_to_string(tags, ' '), notes)),
            lower($search)))
    ORDER BY submitted_at DESC, run DESC
    LIMIT $limit OFFSET $offset
)
SELECT run_rows.* EXCLUDE (parameters, provenance)
FROM run_rows SEMI JOIN page USING (run)
ORDER BY submitted_at DESC, run DESC
