-- SPDX-License-Identifier: Apache-2.0
-- The ledger's tables, version 1, as every new ledger is first made; the steps to the version in use are in schema.c.
-- What the tables mean to a reader: docs/ledger.md. This file stays as it is: what is in use was made from it.
--
-- Names carry the unit. Times of day (began_ns, ended_ns of run, made_ns) count from 1970; all other times count from
-- the moment at which the run's first task could start. The version is kept in PRAGMA user_version; PRAGMA
-- application_id is 0x4e41504d ("NAPM"), by which a foreign SQLite file is known and left alone.

CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'stopped', 'interrupted')),
    cause TEXT, -- why it failed, was stopped or was interrupted
    scenario_name TEXT NOT NULL,
    scenario_path TEXT NOT NULL,
    scenario_text TEXT NOT NULL, -- with the --set overrides as comments at its end
    world TEXT NOT NULL,
    seed INTEGER NOT NULL, -- the 64 bits, read as a signed number
    repetition INTEGER NOT NULL,
    began_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    platform_version TEXT NOT NULL,
    host TEXT NOT NULL, -- of the machine that ran the command
    processor TEXT NOT NULL,
    system TEXT NOT NULL,
    processors INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL,
    recorder_pid INTEGER NOT NULL, -- the process that records: by these three it is known whether it still lives
    recorder_started INTEGER NOT NULL,
    recorder_machine TEXT NOT NULL
) STRICT;

CREATE TABLE run_plugin (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    role TEXT NOT NULL, -- 'partitioner', 'scheduler', 'backend:NODE', 'arrivals:STREAM', 'stress:NODE'
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    file TEXT NOT NULL,
    options TEXT NOT NULL, -- those in force, one 'name=value' a line, defaults included
    PRIMARY KEY (run, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_node (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    node INTEGER NOT NULL,
    name TEXT NOT NULL,
    is_station INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    cpu_share REAL NOT NULL,
    memory_limit_bytes INTEGER, -- NULL: not limited
    workers INTEGER NOT NULL,
    backend TEXT NOT NULL,
    host TEXT NOT NULL,
    machine TEXT NOT NULL,
    system TEXT NOT NULL,
    processors INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    lost_cause TEXT, -- why the node was lost in mid-run
    PRIMARY KEY (run, node)
) STRICT, WITHOUT ROWID;

-- A model's layers, once for each model file.
CREATE TABLE layer (
    model_hash TEXT NOT NULL,
    layer INTEGER NOT NULL,
    name TEXT NOT NULL,
    flops REAL NOT NULL,
    parameter_bytes INTEGER NOT NULL,
    PRIMARY KEY (model_hash, layer)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_stream (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    stream INTEGER NOT NULL,
    name TEXT NOT NULL,
    device TEXT NOT NULL,
    model TEXT NOT NULL, -- the file's name
    model_hash TEXT NOT NULL,
    layer_count INTEGER NOT NULL,
    task_count INTEGER NOT NULL,
    deadline_ns INTEGER, -- NULL: none
    priority INTEGER NOT NULL,
    PRIMARY KEY (run, stream)
) STRICT, WITHOUT ROWID;

-- What a link was asked for and what a probe through it found.
CREATE TABLE run_link (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    link INTEGER NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('up', 'down')),
    name TEXT NOT NULL,
    medium TEXT, -- NULL: a medium of its own
    requested_bytes_per_s REAL, -- NULL: not limited
    achieved_bytes_per_s REAL,
    requested_delay_ns INTEGER NOT NULL,
    achieved_delay_ns INTEGER NOT NULL,
    method TEXT NOT NULL,
    PRIMARY KEY (run, link, direction)
) STRICT, WITHOUT ROWID;

CREATE TABLE plan (
    run INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    partitioner TEXT NOT NULL, -- 'name version'
    planning_ns INTEGER NOT NULL,
    predicted_total_ns REAL NOT NULL,
    predicted_mean_ns REAL NOT NULL,
    predicted_variance_ns2 REAL NOT NULL
) STRICT;

CREATE TABLE plan_stream (
    run INTEGER NOT NULL REFERENCES plan (run) ON DELETE CASCADE,
    stream INTEGER NOT NULL,
    cut INTEGER NOT NULL, -- layers 0..cut-1 run on the device
    cut_bytes INTEGER NOT NULL,
    local_ns REAL NOT NULL, -- the predicted means
    transmit_ns REAL NOT NULL,
    queue_ns REAL NOT NULL,
    remote_ns REAL NOT NULL,
    return_ns REAL NOT NULL,
    PRIMARY KEY (run, stream)
) STRICT, WITHOUT ROWID;

-- One row a task that ended. The five phases add up to delay_ns where status is 'ok'.
CREATE TABLE task (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    stream INTEGER NOT NULL,
    task INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('ok', 'failed', 'unfinished')),
    cause TEXT,
    cut INTEGER NOT NULL,
    warmup INTEGER NOT NULL, -- 1: does not count
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER NOT NULL,
    delay_ns INTEGER NOT NULL,
    local_ns INTEGER NOT NULL,
    transmit_ns INTEGER NOT NULL,
    queue_ns INTEGER NOT NULL,
    remote_ns INTEGER NOT NULL,
    return_ns INTEGER NOT NULL,
    device_wait_ns INTEGER NOT NULL, -- the part of local_ns spent waiting for the device
    device_compute_ns INTEGER NOT NULL,
    station_compute_ns INTEGER NOT NULL,
    up_bytes INTEGER NOT NULL,
    down_bytes INTEGER NOT NULL,
    slices INTEGER NOT NULL, -- how often the station's scheduler picked it
    PRIMARY KEY (run, stream, task)
) STRICT, WITHOUT ROWID;

-- Measured time of every layer of every task, wherever it ran; layers of unknown time have no row.
CREATE TABLE layer_time (
    run INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    task INTEGER NOT NULL,
    layer INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    PRIMARY KEY (run, stream, task, layer),
    FOREIGN KEY (run, stream, task) REFERENCES task (run, stream, task) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE node_sample (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    node INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    cpu_share REAL NOT NULL, -- processor time of the node's process since the last sample / elapsed, in cores
    resident_bytes INTEGER NOT NULL,
    machine_available_bytes INTEGER NOT NULL,
    machine_load REAL NOT NULL, -- 0..1
    received_bytes INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    energy_j REAL, -- NULL: not measured
    PRIMARY KEY (run, node, at_ns)
) STRICT, WITHOUT ROWID;

-- Measured layer times of a model on a node. The newest row of a key is the one in use.
CREATE TABLE profile (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    description TEXT NOT NULL,
    made_ns INTEGER NOT NULL,
    layer_count INTEGER NOT NULL
) STRICT;
CREATE INDEX profile_by_key ON profile (key, id);

CREATE TABLE profile_layer (
    profile INTEGER NOT NULL REFERENCES profile (id) ON DELETE CASCADE,
    layer INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    PRIMARY KEY (profile, layer)
) STRICT, WITHOUT ROWID;

-- Which profile a run planned with.
CREATE TABLE run_profile (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    node INTEGER NOT NULL,
    model_hash TEXT NOT NULL,
    profile INTEGER NOT NULL REFERENCES profile (id),
    PRIMARY KEY (run, node, model_hash)
) STRICT, WITHOUT ROWID;
