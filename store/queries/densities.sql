-- Every density of a finished run, with its scope and coverage; rank 1 is the headline.
-- $run text: run id
SELECT scope, coverage, memory, arithmetic, arithmetic_label, average_bits, rank
FROM densities
WHERE run = $run
ORDER BY rank
