-- Maintenance beyond km and time, and who is told what on which channel.

-- Maintenance -----------------------------------------------------------------------------------

alter table maintenance_item
    add column interval_h double precision,
    add column soon_h double precision not null default 20,
    add column base_engine_h double precision,
    add column remaining_h double precision,
    add column reason text not null default 'none',   -- the counter that decides: km, days, hours, own …
    add column handling text not null default 'open'
        check (handling in ('open', 'booked', 'snoozed', 'declined', 'not_applicable')),
    add column handling_until timestamptz,    -- snoozed until, booked for
    add column snoozes int not null default 0,        -- in this cycle
    add column station_id text,               -- where it is booked
    add column campaign_id text,              -- asked for by a campaign, not by a programme
    add column state_since timestamptz,       -- reminders count from here; null = ok
    add column reminded_step int not null default -1, -- of the cadence, in this state; -1 = never
    add column flagged text;                  -- what an operator must put right
create index maintenance_item_due on maintenance_item (due_at) where state <> 'ok';
drop index maintenance_item_unassessed;

create table maintenance_vehicle (            -- one row a vehicle: its meter, its use, when to look
    vehicle_id int primary key references vehicle on delete cascade,
    assess_at timestamptz not null default '-infinity',
    enrolled bool not null default false,     -- false = compare with the programmes once more
    programme text,                           -- chosen by a person; null = the most specific that fits
    odometer_km double precision,             -- raw + offset: never goes back by itself
    odometer_at timestamptz,
    odometer_source text check (odometer_source in ('signal', 'trips', 'person')),
    raw_km double precision,                  -- what the meter says
    offset_km double precision not null default 0,
    suspect_km double precision,              -- a reading that cannot follow the last: frozen meanwhile
    suspect_at timestamptz,
    suspect_count int not null default 0,
    use_declared text[] not null default '{}',        -- taxi, towing, dust …: no signal says it
    use_factor double precision not null default 1,   -- of the interval; below 1 = severe use
    use_reasons text[] not null default '{}',
    use_figures jsonb not null default '{}',
    trips_at timestamptz not null default '-infinity',  -- when to look for trips again
    trips_until timestamptz,                  -- signals up to here are in `trip`
    reminded_at timestamptz,                  -- the last message: at most one a day
    reminders int not null default 0
) with (fillfactor = 70);
create index maintenance_vehicle_assess on maintenance_vehicle (assess_at);
create index maintenance_vehicle_trips on maintenance_vehicle (trips_at);

create function maintenance_follow_vehicle() returns trigger language plpgsql as $$
begin
    insert into maintenance_vehicle (vehicle_id) values (new.vehicle_id)
    on conflict (vehicle_id) do update set enrolled = false, assess_at = '-infinity';
    return null;
end $$;
create trigger maintenance_follow after insert or update on vehicle
    for each row execute function maintenance_follow_vehicle();
insert into maintenance_vehicle (vehicle_id) select vehicle_id from vehicle;

create table odometer_reading (               -- one good one a day, and every doubtful one
    vehicle_id int not null references vehicle on delete cascade,
    observed_at timestamptz not null,
    raw_km double precision not null,
    offset_km double precision not null,
    source text not null,
    verdict text not null,                    -- good | jump | rollback | replaced | set
    primary key (vehicle_id, observed_at, verdict)
);

create table trip (                           -- from the signals of the vehicle, by the minute
    vehicle_id int not null references vehicle on delete cascade,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    distance_km double precision not null,
    idle_s double precision not null,
    fast_s double precision not null,         -- near top speed
    ambient_c double precision,               -- mean
    primary key (vehicle_id, started_at)
);

create table maintenance_done (               -- service records
    vehicle_id int not null references vehicle on delete cascade,
    kind text not null,
    cycle int not null,
    done_at timestamptz not null,
    odometer_km double precision,
    engine_h double precision,
    actor text not null,
    recorded_at timestamptz not null default now(),
    primary key (vehicle_id, kind, cycle)
);

create table maintenance_reminder (           -- what was said, for the conversion figure
    vehicle_id int not null references vehicle on delete cascade,
    number int not null,
    outbox_key text not null unique,
    kinds text[] not null,
    said_at timestamptz not null,
    primary key (vehicle_id, number)
);

create table campaign (
    campaign_id text primary key,
    zh text not null,
    en text not null,
    selector jsonb not null,                  -- model.maintenance.Selector
    starts_at timestamptz not null,
    ends_at timestamptz not null check (ends_at > starts_at),
    created_by text not null,
    selected_at timestamptz,                  -- when targets were last chosen
    closed_at timestamptz
);

create view maintenance_conversion as         -- visits within 30 d of a reminder, by month
    select date_trunc('month', r.said_at) as month, count(*) as reminders,
           count(*) filter (where exists (
               select from maintenance_done d
               where d.vehicle_id = r.vehicle_id and d.kind = any(r.kinds)
                   and d.done_at >= r.said_at and d.done_at < r.said_at + interval '30 d')) as visits
    from maintenance_reminder r group by 1;

create view campaign_response as              -- what the owners of a campaign's targets said
    select c.campaign_id, count(m.vehicle_id) as targets,
           count(*) filter (where m.reminded_step >= 0) as asked,
           count(*) filter (where m.handling = 'booked') as yes,
           count(*) filter (where m.handling = 'declined') as no,
           count(*) filter (where m.handling = 'snoozed') as postponed,
           count(*) filter (where m.cycle > 0) as done
    from campaign c left join maintenance_item m using (campaign_id) group by 1;

-- Notices ---------------------------------------------------------------------------------------

create table subscription (                   -- who hears of what, where
    subscription_id uuid primary key,
    name text not null,
    audience text not null,                   -- station, crew, call_centre, owner, operator, …
    station_id text,                          -- only this station's; null = everybody's
    region_id text,                           -- only this region's
    vin text references vehicle (vin) on delete cascade,  -- an owner's own channel
    kinds text[] not null default '{}',       -- prefixes of message kinds; empty = all
    min_severity smallint not null default -1,
    channel text not null check (channel in ('webhook', 'apprise')),
    address text not null,                    -- may hold secrets: never shown, never logged
    secret text not null default '',          -- of a webhook's signature
    language text not null default 'zh' check (language in ('zh', 'en', 'both')),
    quiet_from time,                          -- local; not for severity >= 3
    quiet_to time,
    time_zone text not null default 'Asia/Shanghai',
    active bool not null default true,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    check ((quiet_from is null) = (quiet_to is null))
);

alter table outbox
    add column spread_at timestamptz,         -- when subscriptions were looked up; null = not yet
    add column acknowledged_at timestamptz,
    add column acknowledged_by text;
update outbox set spread_at = now();
create index outbox_unspread on outbox (outbox_id) where spread_at is null;

create table delivery (                       -- one message on one channel
    delivery_id bigint generated always as identity primary key,
    outbox_id bigint not null references outbox on delete cascade,
    subscription_id uuid not null references subscription on delete cascade,
    next_attempt_at timestamptz,              -- null = sent or dead
    attempts int not null default 0,
    sent_at timestamptz,
    receipt text,                             -- what the channel answered
    read_at timestamptz,                      -- the receiver's system says: arrived
    dead_at timestamptz,
    last_error text,
    unique (outbox_id, subscription_id)
);
create index delivery_due on delivery (next_attempt_at) where next_attempt_at is not null;
create index delivery_dead on delivery (dead_at) where dead_at is not null;
