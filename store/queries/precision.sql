-- The formats of runs and why they changed: from this epoch on, a site of a layer in a product has this format.
-- All rows of an epoch are one decision, with its signal, the signal's value and the threshold that it was compared
-- with; a row without a site is a decision that changed none (a run in fp32 at its start).
-- $runs list: run ids
-- $after integer=0 0..: only later epochs
SELECT run, epoch, label, site, product, layer, format, signal, value, threshold, reason
FROM precision
WHERE run IN (SELECT unnest(string_split($runs, ','))) AND epoch > $after
ORDER BY ALL
