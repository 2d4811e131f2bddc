-- Saved views of the dashboard's pages, newest first.
-- $views list=: only these ids
-- $text text=: only those whose title, note or page has these small letters in it
-- $limit integer=200 0..1000000: at most so many
SELECT view, title, note, page, query, created_at
FROM views
WHERE is_listed(view, $views) AND contains(lower(concat_ws(' ', title, note, page)), $text)
ORDER BY created_at DESC, view DESC
LIMIT $limit
