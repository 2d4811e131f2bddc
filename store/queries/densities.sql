-- Every density of a finished run, with its scope and coverage; rank 1 is the headline. arithmetic and memory are
-- work-weighted harmonic means over the run, the columns of the thesis time-weighted arithmetic ones; the peak is the
-- widest phase's memory density.
-- $run text: run id
SELECT
    scope, coverage, memory, arithmetic, arithmetic_label, average_bits, rank,
    arithmetic_thesis, memory_thesis, peak_memory_density
FROM densities
WHERE run = $run
ORDER BY rank
