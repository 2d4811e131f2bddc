-- Runs of these groups by the hash of their whole spec, newest first: what need not be trained again.
-- `code` is the version of the code that their newest attempt ran (NULL: none has begun, or an older Bitfront did not say).
-- $groups list: group ids
SELECT
    left(sha256(CAST(r.spec AS VARCHAR)), 16) AS hash, r.run, r.state, r.origin, r.attempt, r.sweep,
    json_extract_string(a.provenance, '$.code') AS code
FROM runs r
LEFT JOIN attempts a ON a.run = r.run AND a.attempt = r.attempt
WHERE r.group_id IN (SELECT unnest(string_split($groups, ',')))
ORDER BY r.submitted_at DESC, r.run DESC
