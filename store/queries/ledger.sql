-- A run's cost ledger: multiply-accumulates, elements read and written an epoch, with the bits of their ranges, by layer,
-- product, site and format.
-- $run text: run id
SELECT first_epoch, last_epoch, layer, product, site, format, macs, elements, metadata_bits, covered,
    partner, written, protected, held_bytes
FROM ledger
WHERE run = $run
ORDER BY ALL
