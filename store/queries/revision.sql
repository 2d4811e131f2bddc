-- One text that is another one as soon as a run is launched, changes its state, ends, is edited or deleted, or a sweep is
-- launched: whoever keeps answers asks this first.
SELECT
    count(*) || '-' || coalesce(CAST(bit_xor(hash(run, state, attempt, name, tags, notes, ended_at)) AS VARCHAR), '')
    || (SELECT '-' || count(*) || coalesce('-' || max(epoch_us(launched_at)), '') FROM sweeps) AS revision
FROM runs
