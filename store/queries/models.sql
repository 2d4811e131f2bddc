-- The runs that have left a model of this content, with the attempt whose files it is among; any of them will do.
-- $content text: SHA-256 of the model's packed parameters
SELECT a.run, r.attempt, a.name
FROM artifacts a
JOIN runs r ON r.run = a.run
WHERE a.content = $content
ORDER BY a.run
