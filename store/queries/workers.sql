-- Workers, the live ones first; alive: heard of in the last 15 seconds and not stopping.
SELECT *, state <> 'stopping' AND heard_at > now() - INTERVAL 15 SECONDS AS alive
FROM workers
ORDER BY alive DESC, worker
