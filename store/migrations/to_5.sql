-- Models by their content, and searches with the runs that they asked for. Older runs said nothing of the content.
ALTER TABLE artifacts ADD COLUMN content VARCHAR;
CREATE TABLE searches (
    search VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    file JSON NOT NULL,
    dataset VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    state VARCHAR NOT NULL CHECK (state IN ('running', 'finished', 'failed', 'cancelled')),
    reason VARCHAR,
    result JSON,
    submitted_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ
);
CREATE TABLE trials (
    search VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    run VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    batch INTEGER NOT NULL,
    scheme VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    point INTEGER[],
    cost DOUBLE,
    predicted DOUBLE,
    PRIMARY KEY (search, number)
);
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
    launched_at TIMESTAMPTZ NOT NULL,
    recorded BOOLEAN NOT NULL
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
