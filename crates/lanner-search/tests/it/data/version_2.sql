-- An empty study as `lanner search` of schema version 2 made it.
CREATE TABLE study (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
-- What the strategy remembers since it asked for the last round.
CREATE TABLE strategy (
    id INTEGER PRIMARY KEY CHECK (id = 1), round INTEGER NOT NULL, state BLOB NOT NULL
);
CREATE TABLE trial (
    id INTEGER PRIMARY KEY,
    round INTEGER NOT NULL,
    arch TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL
        CHECK (state IN ('asked', 'running', 'done', 'failed', 'infeasible')),
    seed INTEGER NOT NULL,
    origin TEXT,
    owner TEXT,
    heartbeat REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    asked_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    -- The first objective with a sign by which more is better.
    value REAL,
    -- The second, if there are two.
    value2 REAL,
    note TEXT
);
CREATE INDEX trial_state ON trial (state, origin);
CREATE INDEX trial_value ON trial (value DESC, id) WHERE value IS NOT NULL;
CREATE INDEX trial_value2 ON trial (value2 DESC, id) WHERE value2 IS NOT NULL;
CREATE TABLE metric (
    trial INTEGER NOT NULL REFERENCES trial (id), name TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (trial, name)
) WITHOUT ROWID;
CREATE TABLE prediction (
    trial INTEGER NOT NULL REFERENCES trial (id), name TEXT NOT NULL,
    median REAL NOT NULL, sd REAL NOT NULL,
    PRIMARY KEY (trial, name)
) WITHOUT ROWID;
CREATE TABLE measurement (
    id INTEGER PRIMARY KEY, arch TEXT NOT NULL, metric TEXT NOT NULL, value REAL NOT NULL, se REAL,
    trial INTEGER REFERENCES trial (id), seed INTEGER NOT NULL, budget TEXT NOT NULL,
    unix_time REAL NOT NULL
);
CREATE INDEX measurement_metric ON measurement (metric);
CREATE INDEX measurement_arch ON measurement (arch, metric);
PRAGMA application_id = 1280200274;
PRAGMA user_version = 2;
