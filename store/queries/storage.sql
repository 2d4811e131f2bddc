-- How many rows each table of the database holds (the database's own estimate), the longest first.
SELECT table_name AS name, estimated_size AS rows
FROM duckdb_tables()
WHERE schema_name = 'main' AND NOT internal
ORDER BY rows DESC, name
