-- How many runs are in each state.
SELECT state, count(*) AS n FROM runs GROUP BY state ORDER BY state
