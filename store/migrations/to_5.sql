-- The run that another was cloned from; saved views of the dashboard's pages.
ALTER TABLE runs ADD COLUMN parent VARCHAR;
CREATE TABLE views (
    view VARCHAR PRIMARY KEY,
    title VARCHAR NOT NULL,
    note VARCHAR,
    page VARCHAR NOT NULL,
    query VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
