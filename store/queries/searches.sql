-- Searches, newest first, with how many of the runs that they asked for are over; what they asked and found as JSON text.
-- $search text=: only the search with this id
-- $states list= {running|finished|failed|cancelled}: only in these states
-- $limit integer=500 0..1000000: at most so many
SELECT
    s.search, s.name, s.dataset, s.model, s.state, s.reason, s.submitted_at, s.ended_at,
    count(r.run) AS asked,
    count(*) FILTER (r.state = 'finished') AS finished,
    count(*) FILTER (r.state IN ('failed', 'cancelled')) AS failed,
    count(*) FILTER (r.state IN ('queued', 'running', 'cancelling')) AS unfinished,
    CAST(s.file AS VARCHAR) AS file,
    CAST(s.result AS VARCHAR) AS result
FROM searches s
LEFT JOIN trials t ON t.search = s.search
LEFT JOIN runs r ON r.run = t.run
WHERE ($search = '' OR s.search = $search) AND is_listed(s.state, $states)
GROUP BY ALL
ORDER BY s.submitted_at DESC, s.search
LIMIT $limit
