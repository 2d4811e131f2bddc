-- Learning curves of groups of runs: of each epoch the mean, sample standard deviation and ends of the runs that have it,
-- one row a group and epoch.
-- $members list: pairs of a group's name and a run of it, group:run
-- $quantity text=val_loss {train_loss|val_loss|test_loss|train_metric|val_metric|test_metric|average_bits}: which column
WITH chosen AS (
    SELECT split_part(pair, ':', 1) AS group_id, split_part(pair, ':', 2) AS run
    FROM (SELECT unnest(string_split($members, ',')) AS pair)
),
measured AS (
    SELECT
        c.group_id, e.epoch,
        CASE $quantity
            WHEN 'train_loss' THEN e.train_loss WHEN 'val_loss' THEN e.val_loss WHEN 'test_loss' THEN e.test_loss
            WHEN 'train_metric' THEN e.train_metric WHEN 'val_metric' THEN e.val_metric
            WHEN 'test_metric' THEN e.test_metric ELSE e.average_bits
        END AS value
    FROM chosen c
    JOIN epochs e ON e.run = c.run
)
SELECT
    group_id, epoch, count(value) AS n, avg(value) AS mean, stddev_samp(value) AS std, min(value) AS low,
    max(value) AS high
FROM measured
GROUP BY group_id, epoch
HAVING count(value) > 0
ORDER BY group_id, epoch
