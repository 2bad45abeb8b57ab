-- Core schema, plain PostgreSQL. TimescaleDB is additive: see 0002_timescale.sql.

-- Master data -------------------------------------------------------------------------------

create table vehicle (
    vehicle_id int generated always as identity primary key,
    vin text not null unique,
    partition smallint not null,              -- model.wire.partition_of(vin, partitions)
    profile text not null,
    attrs jsonb not null,                     -- model.vehicle.Vehicle without vin and profile
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now()
);
create index vehicle_by_partition on vehicle (partition);
create index vehicle_by_change on vehicle (changed_at);

create table gateway (
    gateway_id text primary key,
    token_sha256 bytea not null unique,       -- the token itself is shown once and never stored
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
create table gateway_vehicle (
    gateway_id text not null references gateway on delete cascade,
    vin text not null references vehicle (vin) on delete cascade,
    primary key (gateway_id, vin)
);

create table station (
    station_id text primary key,
    name text not null,
    name_en text not null default '',
    latitude_deg double precision not null,
    longitude_deg double precision not null,
    zone text not null check (zone in ('city', 'county', 'province'))
);
create table rescue_unit (
    unit_id text primary key,
    station_id text not null references station,
    name text not null,
    capabilities text[] not null default '{}',
    on_duty bool not null default false,
    latitude_deg double precision not null,
    longitude_deg double precision not null,
    case_id uuid                              -- the case this unit is offered or works on; null = free
);

create table installation (                   -- facts fixed at installation, one row
    only_one bool primary key default true check (only_one),
    partitions smallint not null
);

-- The log of the embedded mode: gapless positions per partition ------------------------------

create table frame_inbox_head (
    partition smallint primary key,
    next_position bigint not null default 0
) with (fillfactor = 50);
create table frame_inbox (
    partition smallint not null,
    position bigint not null,
    vin text not null,
    headers jsonb not null,
    value bytea not null,
    primary key (partition, position)
);
alter table frame_inbox alter column value set storage external;   -- already zstd

-- Exactly-once: position moves in the transaction that writes the effects ---------------------

create table ledger (
    topic text not null,
    partition smallint not null,
    next_position bigint not null,
    updated_at timestamptz not null default now(),
    primary key (topic, partition)
) with (fillfactor = 50);

create table pushed_batch (                   -- a gateway's repeat changes nothing
    gateway_id text not null,
    vin text not null,
    batch_id text not null,
    part smallint not null,
    digest text not null,
    received_at timestamptz not null,
    primary key (gateway_id, vin, batch_id, part)
);
create index pushed_batch_age on pushed_batch using brin (received_at);

create table dead_letter (
    dead_letter_id bigint generated always as identity primary key,
    topic text not null,
    partition smallint not null,
    position bigint not null,
    vin text not null,
    headers jsonb not null,
    value bytea not null,
    reason text not null,
    recorded_at timestamptz not null default now(),
    redriven_at timestamptz,
    unique (topic, partition, position)
);

-- Bulk tables: no primary key, no foreign key (7x slower, measured) ---------------------------

create table signal (
    signal_id int generated always as identity primary key,
    name text not null unique,                -- catalogue name, or profile:Message.Signal
    unit text not null
);
create table signal_segment (
    vehicle_id int not null,
    signal_id int not null,
    source smallint not null,                 -- J1939 source address, -1 where there is none
    time timestamptz not null,                -- first grid cell
    step_ms int not null,
    n int not null,                           -- GOOD samples, all of them; 0: the figures are NaN
    n_bad int not null,                       -- samples whose quality is not GOOD
    vmin double precision not null,
    vmax double precision not null,
    vfirst double precision not null,
    vlast double precision not null,
    vsum double precision not null,
    deltas real[] not null                    -- per grid cell: last value of the cell - vfirst; NaN = none
);
create index signal_segment_by_vehicle on signal_segment (vehicle_id, signal_id, time desc);
create index signal_segment_by_signal on signal_segment (signal_id, time desc);
create index signal_segment_age on signal_segment using brin (time);

create table frame_block (
    block_id bigint generated always as identity,  -- rises in order of arrival
    vehicle_id int not null,
    time timestamptz not null,                -- first and last observed_ns, floored to us;
    t_end timestamptz not null,               -- never more than an hour apart
    received_at timestamptz not null,
    n int not null,
    codec smallint not null,
    frames bytea not null
);
alter table frame_block alter column frames set storage external;
create index frame_block_by_vehicle on frame_block (vehicle_id, time desc);
create index frame_block_age on frame_block using brin (time);

create view signal_sample as                  -- one row per grid cell that holds a sample
    select s.vehicle_id, s.signal_id, s.source,
           s.time + (u.o - 1) * s.step_ms * interval '1 ms' as time,
           s.vfirst + u.d as value
    from signal_segment s, unnest(s.deltas) with ordinality u (d, o)
    where u.d <> 'NaN'::real;

create view signal_1h as                      -- with TimescaleDB: a continuous aggregate
    select vehicle_id, signal_id, date_bin('1 hour', time, 'epoch') as bucket, sum(n) as n,
           min(vmin) as vmin, max(vmax) as vmax, sum(vsum) as vsum
    from signal_segment where n > 0 group by 1, 2, 3;

-- What the pipeline remembers -----------------------------------------------------------------

create table vehicle_state (
    vehicle_id int primary key references vehicle on delete cascade,
    partition smallint not null,
    observed_at timestamptz not null,         -- newest sample, floored to us
    newest_ns bigint not null,                -- the same, exact
    received_at timestamptz not null,
    signal_ids int[] not null,
    vals double precision[] not null,
    observed_ns bigint[] not null,            -- when each value was observed
    memory jsonb not null                     -- rule memory and reassembly tails
) with (fillfactor = 50);
create index vehicle_state_by_partition on vehicle_state (partition);

-- Alerts --------------------------------------------------------------------------------------

create table alert (
    alert_id uuid primary key,
    vehicle_id int not null references vehicle on delete cascade,
    rule_id text not null,
    rule_version int not null,
    instance text not null,
    severity smallint not null,               -- the highest reached
    state text not null check (state in ('firing', 'stale', 'cleared', 'retracted')),
    handling text not null default 'new'
        check (handling in ('new', 'acknowledged', 'in_progress', 'resolved', 'dismissed')),
    history bool not null,
    started_at timestamptz not null,          -- event time: the condition became true
    fired_at timestamptz not null,            -- event time: it had held long enough
    changed_at timestamptz not null,          -- event time of the last step
    cleared_at timestamptz,
    recorded_at timestamptz not null default now(),
    evidence jsonb not null,                  -- of the earliest step of the highest severity
    evidence_at timestamptz not null,
    thresholds jsonb not null
);
create index alert_newest on alert (fired_at desc, alert_id);
create index alert_by_vehicle on alert (vehicle_id, fired_at desc);
create index alert_open on alert (severity desc, fired_at desc) where state in ('firing', 'stale');

-- People --------------------------------------------------------------------------------------

create table rescue_case (
    case_id uuid primary key,
    alert_id uuid not null unique references alert on delete cascade,
    vehicle_id int not null references vehicle on delete cascade,
    severity smallint not null,
    state text not null,
    latitude_deg double precision not null,
    longitude_deg double precision not null,
    zone text not null,
    requested_at timestamptz not null,        -- wall clock: promises count from here
    unit_id text references rescue_unit,
    offered_at timestamptz,
    declined_by text[] not null default '{}',
    version int not null default 0
);
create index rescue_case_open on rescue_case (requested_at) where state not in ('cleared', 'cancelled');
create unique index rescue_case_one_unit on rescue_case (unit_id)
    where state in ('offered', 'accepted', 'on_scene');

create table clock (                          -- a promise with a deadline; rows, not timers in memory
    clock_id uuid primary key,
    kind text not null,                       -- arrival
    case_id uuid not null references rescue_case on delete cascade,
    started_at timestamptz not null,
    due_at timestamptz not null,
    warned_percent smallint not null default 0,   -- 50, 80, 100 already announced
    next_check_at timestamptz,                -- null = stopped
    stopped_at timestamptz,
    unique (kind, case_id)
);
create index clock_due on clock (next_check_at) where next_check_at is not null;

create table maintenance_item (
    vehicle_id int not null references vehicle on delete cascade,
    kind text not null,
    interval_km double precision,
    interval_days double precision,
    soon_km double precision not null,
    soon_days double precision not null,
    base_odometer_km double precision,
    base_at timestamptz not null,
    state text not null default 'ok' check (state in ('ok', 'due_soon', 'due', 'overdue')),
    remaining_km double precision,
    remaining_days double precision,
    due_at timestamptz,
    cycle int not null default 0,             -- counts done records; part of a reminder's stable key
    assessed_at timestamptz,
    assessed_odometer_km double precision,
    primary key (vehicle_id, kind)
);
create index maintenance_item_unassessed on maintenance_item (assessed_at nulls first);

create table audit (                          -- append-only
    audit_id bigint generated always as identity primary key,
    noun text not null,                       -- rescue_case | alert | maintenance_item
    noun_id text not null,
    step text not null,
    actor text not null,
    reason text not null default '',
    idempotency_key text unique,
    detail jsonb not null default '{}',
    recorded_at timestamptz not null default now()
);
create index audit_by_noun on audit (noun, noun_id, audit_id);

create table outbox (
    outbox_id bigint generated always as identity primary key,
    key text not null unique,                 -- the receiver sees this id on every try
    kind text not null,
    body jsonb not null,
    created_at timestamptz not null default now(),
    next_attempt_at timestamptz,              -- null = sent or dead
    attempts int not null default 0,
    sent_at timestamptz,
    dead_at timestamptz,
    last_error text
);
create index outbox_due on outbox (next_attempt_at) where next_attempt_at is not null;
