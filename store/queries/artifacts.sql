-- The files that a run has left in the artifacts' folder.
-- $run text: run id
SELECT name, kind, bytes, sha256
FROM artifacts
WHERE run = $run
ORDER BY name
