-- Master data of the network: regions, stations, persons, duty, parts, scores (domain.md 1.3).
-- A vehicle's fields stay in vehicle.attrs (model.vehicle.Vehicle); `vehicle_master` names them.

create table region (                         -- station -> region -> headquarters: who is told next
    region_id text primary key,
    name text not null,
    name_en text not null default '',
    level text not null default 'region' check (level in ('region', 'headquarters')),
    parent_id text references region check (parent_id <> region_id),
    phone text not null default ''            -- of the office, never of a person
);

alter table station
    add column region_id text references region,
    add column bays int not null default 0 check (bays >= 0),          -- 0 = not known
    add column hours jsonb not null default '[]',     -- [{weekday 1-7, opens, closes}], HH:MM local
    add column time_zone text not null default 'Asia/Shanghai',
    add column skills text[] not null default '{}',   -- what is repaired here: engine, battery, body …
    add column stars smallint not null default 0 check (stars between 0 and 5),   -- 0 = not graded
    add column coverage jsonb,                -- GeoJSON Polygon or MultiPolygon, WGS 84; null = no limit
    add column phone text not null default '',        -- of the desk, never of a person
    add column active bool not null default true;     -- false = closed down
create index station_by_region on station (region_id);

create table person (                         -- no name, no number: the HR system keeps those
    person_id text primary key,
    station_id text references station,
    region_id text references region,         -- where somebody belongs to no station
    role text not null check (role in
        ('technician', 'crew', 'advisor', 'manager', 'engineer', 'expert', 'agent')),
    skill_level smallint not null default 1 check (skill_level between 1 and 4),
    skills text[] not null default '{}',      -- same words as station.skills
    languages text[] not null default '{zh}',
    active bool not null default true,
    check (num_nonnulls(station_id, region_id) = 1)
);
create index person_by_station on person (station_id) where active;
create index person_by_region on person (region_id) where active;

create table certificate (                    -- kinds we ask for: high_voltage (work on traction
    person_id text not null references person on delete cascade,  -- batteries), plan_approval
    kind text not null,                       -- (approve plans, close cases), technician, rescue
    valid_from date not null,
    valid_to date check (valid_to >= valid_from),     -- inclusive; null = for good
    primary key (person_id, kind, valid_from)
);
create index certificate_ending on certificate (valid_to);

alter table rescue_unit
    add column crew text[] not null default '{}',     -- person_id of whoever usually rides it
    add column tow_t double precision check (tow_t > 0),  -- what it can tow; null = not known
    add column provider text not null default '',     -- '' = the station's own, else who runs it
    add column position_feed text not null default '',    -- the device that reports its position
    add column position_at timestamptz;       -- when latitude_deg and longitude_deg were true
create index rescue_unit_by_station on rescue_unit (station_id);
create unique index rescue_unit_by_feed on rescue_unit (position_feed) where position_feed <> '';

create table duty (                           -- attendance of a person or a unit
    duty_id text primary key,                 -- the source's own, or made of who, source and from_at
    person_id text references person on delete cascade,
    unit_id text references rescue_unit on delete cascade,
    from_at timestamptz not null,
    to_at timestamptz check (to_at > from_at),        -- null = signed on, not yet off
    source text not null default 'attendance',        -- attendance, roster, console …
    check (num_nonnulls(person_id, unit_id) = 1)
);
create index duty_of_person on duty (person_id, from_at) where person_id is not null;
create index duty_of_unit on duty (unit_id, from_at) where unit_id is not null;

create view duty_span as                      -- somebody who forgot to sign off counts for 16 h (our own)
    select person_id, unit_id, source, from_at, coalesce(to_at, from_at + interval '16 h') as to_at
    from duty;

create table part_stock (                     -- what the parts system last told us
    part_no text not null,
    warehouse text not null,
    quantity double precision not null check (quantity >= 0),
    eta_h double precision check (eta_h >= 0),        -- to the stations it serves; null = not known
    reported_at timestamptz not null,
    primary key (part_no, warehouse)
);

create table survey_score (                   -- the scale belongs to the source
    station_id text not null references station,
    day date not null,
    source text not null,
    score double precision not null,
    primary key (station_id, day, source)
);

-- Vehicles -------------------------------------------------------------------------------------

-- What those registered before this file are taken to have agreed to (our own; see Vehicle.consents).
update vehicle set attrs = attrs || '{"consents": ["call", "position", "reminder"]}'
    where not attrs ? 'consents';
create index vehicle_by_plate on vehicle ((attrs ->> 'plate')) where attrs ->> 'plate' <> '';
create index vehicle_by_owner on vehicle ((attrs ->> 'owner_ref')) where attrs ->> 'owner_ref' <> '';
create index vehicle_by_station on vehicle ((attrs ->> 'preferred_station'))
    where attrs ->> 'preferred_station' <> '';

create view vehicle_master as                 -- '' and 0 = not known
    select vehicle_id, vin, profile,
           coalesce(attrs ->> 'plate', '') as plate,
           coalesce(attrs ->> 'brand', '') as brand,
           coalesce(attrs ->> 'model', '') as model,
           coalesce((attrs ->> 'model_year')::int, 0) as model_year,
           coalesce(attrs ->> 'region', '') as region,
           coalesce(attrs ->> 'powertrain', '') as powertrain,
           coalesce(attrs ->> 'battery_chemistry', '') as battery_chemistry,
           coalesce((attrs ->> 'cells_in_series')::int, 0) as cells_in_series,
           coalesce(attrs ->> 'owner_ref', '') as owner_ref,
           coalesce(attrs ->> 'use', '') as use,           -- private | commercial
           (attrs ->> 'warranty_start')::date as warranty_start,
           coalesce(attrs ->> 'preferred_station', '') as preferred_station,
           coalesce(attrs -> 'consents', '[]') as consents -- call, campaign, position, reminder
    from vehicle;
