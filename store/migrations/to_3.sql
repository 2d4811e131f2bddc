-- Dynamic precision: the controllers' signals, why a format changed, the thesis' means. Older runs logged no signals,
-- and a change of format that an older store kept is one of a controller that it did not name. None of them changed
-- its formats while it quantized, so both means are one, but for steps in fp32 before it quantized.
ALTER TABLE epochs ADD COLUMN loss_ratio DOUBLE;
ALTER TABLE epochs ADD COLUMN gradient_diversity DOUBLE;
ALTER TABLE epochs ADD COLUMN validation_stall DOUBLE;
ALTER TABLE epochs ADD COLUMN average_bits DOUBLE;
ALTER TABLE densities ADD COLUMN arithmetic_thesis DOUBLE;
ALTER TABLE densities ADD COLUMN memory_thesis DOUBLE;
ALTER TABLE densities ADD COLUMN peak_memory_density DOUBLE;
UPDATE densities SET arithmetic_thesis = arithmetic, memory_thesis = memory, peak_memory_density = memory
WHERE scope = 'inference' OR coverage = 'quantized part';
ALTER TABLE summary ADD COLUMN also JSON;
ALTER TABLE ledger ADD COLUMN covered BOOLEAN;
ALTER TABLE precision RENAME TO older_precision;
CREATE TABLE precision (
    run VARCHAR NOT NULL,
    epoch INTEGER NOT NULL,
    site VARCHAR,
    product VARCHAR,
    layer INTEGER,
    format VARCHAR,
    reason VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    signal VARCHAR NOT NULL,
    value DOUBLE,
    threshold DOUBLE
);
INSERT INTO precision BY NAME
SELECT *, format AS label, CASE WHEN epoch = 1 THEN 'start' ELSE 'epoch clock' END AS signal FROM older_precision;
DROP TABLE older_precision;
