-- The store's tables. Times are UTC; metrics are in the task's unit (accuracy in percent, an error in the target's own); seconds; bytes.
-- One writer (store.writer) changes them, by bulk statements in short transactions (store.ingest).

CREATE TABLE meta (
    key VARCHAR PRIMARY KEY,                -- schema_version, stream_position, views (which text)
    value VARCHAR NOT NULL
);

CREATE TABLE runs (
    run VARCHAR PRIMARY KEY,                -- 14 characters, sorted by time
    spec JSON NOT NULL,                     -- the whole RunSpec
    group_id VARCHAR NOT NULL,              -- hash of the spec without its seed and fold
    dataset VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    scheme VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    device VARCHAR NOT NULL,                -- as asked: auto, cpu, cuda
    total_epochs INTEGER NOT NULL,          -- as asked
    priority INTEGER NOT NULL,              -- 0 is served first
    sweep VARCHAR,
    origin VARCHAR NOT NULL,                -- queue: a worker trains it; local: the process that launched it
    parent VARCHAR,                         -- the run that it was cloned from
    metric VARCHAR,                         -- this and what follows: from the catalogue, then from the provenance
    unit VARCHAR,
    higher_is_better BOOLEAN NOT NULL,
    synthetic BOOLEAN NOT NULL,
    caveat VARCHAR,
    submitted_at TIMESTAMPTZ NOT NULL,
    name VARCHAR,                           -- name, tags and notes are a person's
    tags VARCHAR[] NOT NULL,
    notes VARCHAR,
    state VARCHAR NOT NULL CHECK (state IN ('queued', 'running', 'cancelling', 'finished', 'failed', 'cancelled')),
    attempt INTEGER NOT NULL,               -- the newest seen, 0 if none
    attempts INTEGER NOT NULL,              -- how many were seen
    dropped INTEGER NOT NULL,               -- events that came twice, late, or from an old attempt
    ended_at TIMESTAMPTZ,
    reason VARCHAR                          -- why it failed
);

CREATE TABLE attempts (
    run VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    state VARCHAR NOT NULL,                 -- running, finished, failed, cancelled; lost: a newer one replaced it
    seq INTEGER NOT NULL,                   -- of the last event applied
    gap BOOLEAN NOT NULL,                   -- an event is missing, and no history has healed it
    healed BOOLEAN NOT NULL,                -- the terminal event's history filled a gap
    worker VARCHAR,
    host VARCHAR,
    pid BIGINT,
    device VARCHAR,                         -- as found: cpu, or the CUDA device's name
    provenance JSON,
    started_at TIMESTAMPTZ,
    heard_at TIMESTAMPTZ NOT NULL,          -- of the last event or heartbeat
    ended_at TIMESTAMPTZ,
    total_epochs INTEGER,
    epoch INTEGER NOT NULL,                 -- the last one, and its values
    train_loss DOUBLE,
    val_loss DOUBLE,
    test_loss DOUBLE,
    train_metric DOUBLE,
    val_metric DOUBLE,
    test_metric DOUBLE,
    epochs INTEGER NOT NULL,                -- how many are held, and their time
    seconds DOUBLE NOT NULL,
    best_epoch INTEGER,                     -- best validation metric so far (the first of equals)
    best_val DOUBLE,
    test_at_best_val DOUBLE,
    test_max DOUBLE,
    PRIMARY KEY (run, attempt)
);

CREATE TABLE epochs (                       -- of the newest attempt only; one row an epoch (kept so by store.lifecycle)
    run VARCHAR NOT NULL,
    epoch INTEGER NOT NULL,
    train_loss DOUBLE,
    val_loss DOUBLE,
    test_loss DOUBLE,
    train_metric DOUBLE,
    val_metric DOUBLE,
    test_metric DOUBLE,
    seconds DOUBLE,
    counts BOOLEAN NOT NULL DEFAULT true,   -- false: a phase that only prepares; such an epoch is never selected
    loss_ratio DOUBLE,                      -- signals of the controllers, whichever the run has (engine.events)
    gradient_diversity DOUBLE,
    validation_stall DOUBLE,
    average_bits DOUBLE                     -- an element of the quantized part in this epoch, headline scope
);

CREATE TABLE precision (                    -- of the newest attempt only
    run VARCHAR NOT NULL,
    epoch INTEGER NOT NULL,                 -- the first with this format
    site VARCHAR,                           -- NULL, as the next three: no site changed (a run in fp32 at its start)
    product VARCHAR,
    layer INTEGER,
    format VARCHAR,
    reason VARCHAR NOT NULL,                -- this and what follows: the same in all rows of a decision
    label VARCHAR NOT NULL,                 -- the ladder's step, e.g. int5
    signal VARCHAR NOT NULL,                -- start, epoch clock, loss plateau, gradient diversity, validation plateau
    value DOUBLE,                           -- of the signal, and what it was compared with
    threshold DOUBLE
);

CREATE TABLE ledger (                       -- of the newest attempt only
    run VARCHAR NOT NULL,
    first_epoch INTEGER NOT NULL,
    last_epoch INTEGER NOT NULL,
    layer INTEGER NOT NULL,
    product VARCHAR NOT NULL,
    site VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    macs BIGINT NOT NULL,
    elements BIGINT NOT NULL,
    metadata_bits BIGINT NOT NULL DEFAULT 0,-- of ranges an epoch, beside the elements' own bits
    covered BOOLEAN,                        -- by a rule of the scheme, at whatever format; NULL, before: if not fp32
    partner VARCHAR,                        -- format of the product's other operand; NULL: the same
    written BIGINT NOT NULL DEFAULT 0,      -- elements an epoch that are written in this format
    protected DOUBLE NOT NULL DEFAULT 0,    -- share of the row that a training step leaves in fp32
    held_bytes BIGINT NOT NULL DEFAULT 0    -- product "stash": bytes a step that are held for the backward pass
);

CREATE TABLE diagnostics (                  -- of the newest attempt only: what quantization does to a tensor
    run VARCHAR NOT NULL,
    epoch INTEGER NOT NULL,
    layer INTEGER NOT NULL,
    part VARCHAR NOT NULL,                  -- the module of the layer; '': the layer itself
    site VARCHAR NOT NULL,
    product VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    bucket INTEGER,                         -- of in-degree, counted from 0; NULL: the whole tensor
    least_degree BIGINT,
    most_degree BIGINT,
    elements BIGINT NOT NULL,
    sqnr DOUBLE,                            -- signal to quantization noise, dB; NULL: no noise, or no signal
    saturated DOUBLE,                       -- share of the elements that the range cut short
    zeroed DOUBLE,                          -- share of the gradients that became zero
    accumulator_bits DOUBLE                 -- of the largest partial sum of its integer products; NULL: not integers
);

CREATE TABLE summary (                      -- one row a finished run
    run VARCHAR PRIMARY KEY,
    metric VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    higher_is_better BOOLEAN NOT NULL,
    epochs INTEGER NOT NULL,
    best_epoch INTEGER NOT NULL,
    val_best DOUBLE,
    test_at_best_val DOUBLE,
    test_last DOUBLE,
    test_max DOUBLE,
    seconds DOUBLE,
    peak_memory BIGINT,
    parameters BIGINT NOT NULL,
    also JSON                               -- other test metrics at best validation: {"name (unit)": value}
);

CREATE TABLE densities (
    run VARCHAR NOT NULL,
    rank INTEGER NOT NULL,                  -- 1 is the headline
    scope VARCHAR NOT NULL,
    coverage VARCHAR NOT NULL,
    memory DOUBLE,
    arithmetic DOUBLE,
    arithmetic_label VARCHAR NOT NULL,
    average_bits DOUBLE,
    arithmetic_thesis DOUBLE,               -- time-weighted arithmetic means over the epochs: the thesis mean;
    memory_thesis DOUBLE,                   -- arithmetic and memory are the harmonic ones
    peak_memory_density DOUBLE,             -- of the widest phase
    PRIMARY KEY (run, rank)
);

CREATE TABLE figures (                      -- what else follows from a finished run's ledger
    run VARCHAR NOT NULL,
    name VARCHAR NOT NULL,                  -- of the definition: engine.ledger.figures
    value DOUBLE,
    PRIMARY KEY (run, name)
);

CREATE TABLE artifacts (                    -- files of a run, of its newest attempt: BITFRONT_HOME/artifacts/<run>/<attempt>/<name>
    run VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,                  -- model, manifest
    bytes BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    content VARCHAR,                        -- of a model: SHA-256 of its packed parameters (training.start_from)
    PRIMARY KEY (run, name)
);

CREATE TABLE measurements (                 -- of the newest separate pass that measured the run (bitfront measure)
    run VARCHAR NOT NULL,
    quantity VARCHAR NOT NULL,              -- engine.events.Measurement
    variant VARCHAR NOT NULL,               -- run; fp32: its twin
    value DOUBLE,                           -- bytes, seconds
    host VARCHAR NOT NULL,
    cpu VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    threads INTEGER NOT NULL,
    allocator VARCHAR NOT NULL,
    epochs INTEGER NOT NULL,
    software JSON NOT NULL,                 -- {"package": "version"}
    measured_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (run, quantity, variant)
);

CREATE TABLE searches (                     -- searches for a scheme (engine.search)
    search VARCHAR PRIMARY KEY,             -- as a run id
    name VARCHAR NOT NULL,
    file JSON NOT NULL,                     -- the whole SearchFile
    dataset VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    state VARCHAR NOT NULL CHECK (state IN ('running', 'finished', 'failed', 'cancelled')),
    reason VARCHAR,                         -- why there is no winner
    result JSON,                            -- engine.search.course.Result, and the winner's test metrics beside fp32's
    submitted_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ
);

CREATE TABLE trials (                       -- the runs that a search asked for
    search VARCHAR NOT NULL,
    number INTEGER NOT NULL,                -- from 0, in the order of asking
    run VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,                 -- reference, baseline, few, measure, final, confirm
    batch INTEGER NOT NULL,
    scheme VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    point INTEGER[],                        -- places of its choices in the space; NULL: fp32
    cost DOUBLE,
    predicted DOUBLE,                       -- what the cost model expected of the validation metric
    PRIMARY KEY (search, number)
);

CREATE TABLE workers (
    worker VARCHAR PRIMARY KEY,
    host VARCHAR NOT NULL,
    pid BIGINT NOT NULL,
    device_class VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    current_run VARCHAR,
    current_attempt INTEGER,
    load DOUBLE,
    memory BIGINT,
    heard_at TIMESTAMPTZ NOT NULL
);

CREATE SEQUENCE dead_letter_ids;

CREATE TABLE dead_letters (                 -- events that could not be applied
    id BIGINT PRIMARY KEY DEFAULT nextval('dead_letter_ids'),
    received_at TIMESTAMPTZ NOT NULL,
    source VARCHAR NOT NULL,                -- stream, http, outbox
    position VARCHAR,                       -- stream id, or file and line
    run VARCHAR,
    reason VARCHAR NOT NULL,
    text VARCHAR NOT NULL
);

CREATE TABLE views (                        -- what somebody saved of a page, for others to open
    view VARCHAR PRIMARY KEY,               -- 14 characters, sorted by time
    title VARCHAR NOT NULL,
    note VARCHAR,
    page VARCHAR NOT NULL,                  -- of the dashboard (store.saved_views)
    query VARCHAR NOT NULL,                 -- what follows the question mark in the page's address
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE sweeps (                       -- as last launched
    sweep VARCHAR PRIMARY KEY,              -- name and digest of its runs
    name VARCHAR NOT NULL,
    plan JSON NOT NULL,                     -- the table that gives its runs (engine.sweep)
    most_runs BIGINT,                       -- the budget
    most_hours DOUBLE,
    launched_at TIMESTAMPTZ NOT NULL,
    recorded BOOLEAN NOT NULL               -- whether its record file is on disk
);

CREATE TABLE sweep_cells (                  -- which run stands for which cell of a sweep's grid
    sweep VARCHAR NOT NULL,
    place INTEGER NOT NULL,                 -- in the order of service, from 0
    hash VARCHAR NOT NULL,                  -- of the whole spec
    group_id VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    scheme VARCHAR NOT NULL,
    seed INTEGER NOT NULL,
    fold INTEGER,
    run VARCHAR,                            -- NULL: the budget allowed none
    own BOOLEAN NOT NULL                    -- the sweep launched it or had it go on; false: it was there, and only counts
);

CREATE TABLE records_due (                  -- runs and searches whose record file must be written, or removed if the run is gone
    run VARCHAR PRIMARY KEY
);
