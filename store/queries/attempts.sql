-- The attempts of a run; `lost` means that a newer one replaced it.
-- $run text: run id
SELECT * REPLACE (CAST(provenance AS VARCHAR) AS provenance) FROM attempts WHERE run = $run ORDER BY attempt
