-- Fault episodes, and the facts they are derived from (model/episodes.py). Facts merge in any order.

create table code_sighting (                  -- a code in one list of its ECU during ten minutes
    vehicle_id int not null references vehicle on delete cascade,
    ecu int not null,
    protocol text not null,
    code text not null,
    failure_type smallint not null,           -- -1 = none
    scope text not null,
    bucket int not null,                      -- ten minutes since 1970
    first_ns bigint not null,
    last_ns bigint not null,
    n int not null,
    status_any smallint,                      -- every bit seen
    status smallint,                          -- of the last report, as lamp and graded
    occurrence_count smallint,
    conversion_method smallint not null,
    lamp smallint not null,                   -- severity
    graded smallint not null,                 -- severity of the ISO 14229 severity byte
    freeze_frames text collate "C",           -- JSON of the earliest
    freeze_ns bigint,
    primary key (vehicle_id, ecu, protocol, code, failure_type, scope, bucket)
) with (fillfactor = 70);

create table ecu_heard (                      -- an ECU sent a whole list: what is missing is gone
    vehicle_id int not null references vehicle on delete cascade,
    ecu int not null,
    protocol text not null,
    scope text not null,
    day int not null,                         -- UTC days since 1970
    buckets bit(144) not null,                -- leftmost = the last ten minutes of the day
    last_report_ns bigint not null,
    primary key (vehicle_id, ecu, protocol, scope, day)
) with (fillfactor = 70);

create table code_sign (                      -- what speaks of all codes of an ECU at once
    vehicle_id int not null references vehicle on delete cascade,
    ecu int not null,                         -- -1 = the whole vehicle
    protocol text not null,
    kind text not null,                       -- reset | partial | complete | cleared
    bucket int not null,
    at_ns bigint not null,                    -- the first in the bucket
    actor text not null default '',
    reason text not null default '',
    due bool not null default false,          -- said by a person, episodes do not follow it yet
    primary key (vehicle_id, ecu, protocol, kind, bucket)
);
create index code_sign_due on code_sign (vehicle_id) where due;

create table fault_episode (                  -- derived: may be made again from the facts at any time
    episode_id uuid primary key,
    vehicle_id int not null references vehicle on delete cascade,
    kind text not null check (kind in ('code', 'rule')),
    ecu int not null,
    protocol text not null,
    code text not null,                       -- a rule's id
    failure_type smallint not null,
    instance text not null,
    state text not null,
    is_open bool not null,
    severity smallint not null,
    count int not null,
    repeat int not null,
    started_ns bigint not null,
    last_seen_ns bigint not null,
    since_ns bigint not null,
    ended_ns bigint,
    status smallint,
    occurrence_count smallint,
    conversion_method smallint not null,
    freeze_frames text
) with (fillfactor = 70);
create unique index fault_episode_open
    on fault_episode (vehicle_id, kind, ecu, protocol, code, failure_type, instance) where is_open;
create index fault_episode_of_vehicle on fault_episode (vehicle_id, started_ns desc, episode_id);

create table code_override (                  -- what an operator thinks of a code; read, never folded
    code text primary key,                    -- as model/code_names.py keys: P0217, U0100-87, 110/0, 110
    verdict text check (verdict in ('ignore', 'critical')),
    zh text not null default '',
    en text not null default '',
    actor text not null,
    reason text not null default '',
    changed_at timestamptz not null
);
