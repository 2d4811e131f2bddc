-- What follows from the ledgers of finished runs, by the name of its definition.
-- $runs list: run ids
SELECT run, name, value
FROM figures
WHERE list_contains(string_split($runs, ','), run)
ORDER BY run, name
