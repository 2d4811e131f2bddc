-- Saved views of the dashboard's pages, newest first.
-- $views list=: only these ids
SELECT view, title, note, page, query, created_at
FROM views
WHERE is_listed(view, $views)
ORDER BY created_at DESC, view DESC
