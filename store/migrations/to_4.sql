-- The cost ledger whole (partners, what is written, protected and held), what follows from it, artifacts, measurements.
-- Older ledgers name no partner: their multiply-accumulates count as of one format.
ALTER TABLE ledger ADD COLUMN partner VARCHAR;
ALTER TABLE ledger ADD COLUMN written BIGINT DEFAULT 0;
ALTER TABLE ledger ALTER COLUMN written SET NOT NULL;
ALTER TABLE ledger ADD COLUMN protected DOUBLE DEFAULT 0;
ALTER TABLE ledger ALTER COLUMN protected SET NOT NULL;
ALTER TABLE ledger ADD COLUMN held_bytes BIGINT DEFAULT 0;
ALTER TABLE ledger ALTER COLUMN held_bytes SET NOT NULL;
ALTER TABLE diagnostics ADD COLUMN accumulator_bits DOUBLE;
CREATE TABLE figures (
    run VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    value DOUBLE,
    PRIMARY KEY (run, name)
);
CREATE TABLE artifacts (
    run VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    PRIMARY KEY (run, name)
);
CREATE TABLE measurements (
    run VARCHAR NOT NULL,
    quantity VARCHAR NOT NULL,
    variant VARCHAR NOT NULL,
    value DOUBLE,
    host VARCHAR NOT NULL,
    cpu VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    threads INTEGER NOT NULL,
    allocator VARCHAR NOT NULL,
    epochs INTEGER NOT NULL,
    software JSON NOT NULL,
    measured_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (run, quantity, variant)
);
