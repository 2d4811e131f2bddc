-- Events that could not be applied, newest first, with the reason.
-- $limit integer=200 0..1000000: at most so many rows
SELECT * FROM dead_letters ORDER BY id DESC LIMIT $limit
