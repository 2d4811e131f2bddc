-- How many events could not be applied.
SELECT count(*) AS n FROM dead_letters
