-- The run that another was cloned from; saved views of the dashboard's pages; sweeps with their grids, of which older ones
-- were a name that their runs bear.
ALTER TABLE runs ADD COLUMN parent VARCHAR;
CREATE TABLE views (
    view VARCHAR PRIMARY KEY,
    title VARCHAR NOT NULL,
    note VARCHAR,
    page VARCHAR NOT NULL,
    query VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE sweeps (
    sweep VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    plan JSON NOT NULL,
    most_runs BIGINT,
    most_hours DOUBLE,
    launched_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE sweep_cells (
    sweep VARCHAR NOT NULL,
    place INTEGER NOT NULL,
    hash VARCHAR NOT NULL,
    group_id VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    scheme VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    fold INTEGER,
    run VARCHAR,
    own BOOLEAN NOT NULL
);
