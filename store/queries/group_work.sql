-- The work of groups' finished runs, summed over layers and sites: what densities under another cost table need. Of each
-- group the newest finished run of each seed and fold; best_epoch is the one whose model inference runs.
-- $groups list: group ids
SELECT
    c.group_id, c.run, c.best_epoch, l.first_epoch, l.last_epoch, l.product, l.format, l.partner, l.covered, l.protected,
    CAST(sum(l.macs) AS BIGINT) AS macs, CAST(sum(l.elements) AS BIGINT) AS elements,
    CAST(sum(l.metadata_bits) AS BIGINT) AS metadata_bits, CAST(sum(l.written) AS BIGINT) AS written
FROM counted_runs c
JOIN ledger l ON l.run = c.run
WHERE list_contains(string_split($groups, ','), c.group_id)
GROUP BY ALL
ORDER BY ALL
