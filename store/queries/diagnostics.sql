-- Where accuracy is lost: what quantization does to each tensor, as a whole (bucket null) and by bucket of in-degree.
-- sqnr is in dB (null: no noise, or no signal), saturated and zeroed are shares;
-- accumulator_bits holds the largest partial sum of the integer products (null: not integers).
-- $runs list: run ids
-- $epochs text=newest {newest|all}: of each run its newest epoch, or all that it has
-- $epoch integer=0 0..: only this epoch instead (0: as `epochs` says)
SELECT
    run, epoch, layer, part, site, product, format, bucket, least_degree, most_degree,
    elements, sqnr, saturated, zeroed, accumulator_bits
FROM diagnostics
WHERE run IN (SELECT unnest(string_split($runs, ','))) AND ($epoch = 0 OR epoch = $epoch)
QUALIFY $epoch > 0 OR $epochs = 'all' OR epoch = max(epoch) OVER (PARTITION BY run)
ORDER BY run, epoch, layer, part, site, product, bucket NULLS FIRST
