-- Losses and metrics, one row an epoch, ordered by run and epoch: for curves; ask with `after` for what is new.
-- An epoch that does not count (its phase only prepares) is never selected. The last columns are the signals that
-- controllers of precision decide by, and the bits an element of the quantized part.
-- $runs list: run ids
-- $after integer=0 0..: only later epochs
-- $since list=: run:epoch pairs; of these runs only epochs later than theirs
WITH held AS (
    SELECT split_part(pair, ':', 1) AS run, TRY_CAST(split_part(pair, ':', 2) AS INTEGER) AS epoch
    FROM (SELECT unnest(string_split($since, ',')) AS pair)
    WHERE pair <> ''
)
SELECT
    run, epochs.epoch, train_loss, val_loss, test_loss, train_metric, val_metric, test_metric, seconds, counts,
    loss_ratio, gradient_diversity, validation_stall, average_bits
FROM epochs
LEFT JOIN held USING (run)
WHERE run IN (SELECT unnest(string_split($runs, ','))) AND epochs.epoch > coalesce(held.epoch, $after)
ORDER BY run, epochs.epoch
