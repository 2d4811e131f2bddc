-- Epochs that only prepare, the bits of ranges in the ledger, diagnostics. Older runs had none of them.
ALTER TABLE epochs ADD COLUMN counts BOOLEAN DEFAULT true;
ALTER TABLE epochs ALTER COLUMN counts SET NOT NULL;
ALTER TABLE ledger ADD COLUMN metadata_bits BIGINT DEFAULT 0;
ALTER TABLE ledger ALTER COLUMN metadata_bits SET NOT NULL;
CREATE TABLE diagnostics (
    run VARCHAR NOT NULL,
    epoch INTEGER NOT NULL,
    layer INTEGER NOT NULL,
    part VARCHAR NOT NULL,
    site VARCHAR NOT NULL,
    product VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    bucket INTEGER,
    least_degree BIGINT,
    most_degree BIGINT,
    elements BIGINT NOT NULL,
    sqnr DOUBLE,
    saturated DOUBLE,
    zeroed DOUBLE
);
