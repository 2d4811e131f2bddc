-- Average seconds an epoch of finished runs by dataset, architecture and scheme: for estimates before launching.
SELECT r.dataset, r.model, r.scheme, sum(s.seconds) / sum(s.epochs) AS seconds_per_epoch, count(*) AS n
FROM runs r
JOIN summary s ON s.run = r.run
WHERE r.state = 'finished' AND s.epochs > 0 AND s.seconds IS NOT NULL
GROUP BY r.dataset, r.model, r.scheme
ORDER BY r.dataset, r.model, r.scheme
