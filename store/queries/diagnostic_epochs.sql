-- The epochs of a run that have diagnostics, in order.
-- $run text: run id
SELECT DISTINCT epoch FROM diagnostics WHERE run = $run ORDER BY epoch
