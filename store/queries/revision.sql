-- One text that is another one as soon as a run is launched, changes its state, ends, is edited or deleted: whoever keeps
-- answers asks this first.
SELECT count(*) || '-' || coalesce(CAST(bit_xor(hash(run, state, attempt, name, tags, notes, ended_at)) AS VARCHAR), '')
    AS revision
FROM runs
