-- One run, with its provenance and the history of its attempts (both JSON text); no row if there is no such run.
-- $run text: run id
SELECT
    * EXCLUDE (provenance),
    provenance,
    (
        SELECT CAST(to_json(list({
            'attempt': a.attempt, 'state': a.state, 'worker': a.worker, 'host': a.host, 'pid': a.pid,
            'device': a.device, 'started_at': CAST(a.started_at AS VARCHAR), 'ended_at': CAST(a.ended_at AS VARCHAR),
            'epoch': a.epoch, 'seq': a.seq, 'gap': a.gap, 'healed': a.healed
        } ORDER BY a.attempt)) AS VARCHAR)
        FROM attempts a WHERE a.run = $run
    ) AS attempts_detail
FROM run_rows
WHERE run = $run
