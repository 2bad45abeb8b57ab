-- Clocks of every kind and subject; rescue cases from people, with a second crew and proof.

-- A clock carries its own terms (model.promises.ClockRow): a changed profile changes no promise.
alter table clock
    drop constraint clock_kind_case_id_key,
    add column noun text not null default 'rescue_case',
    add column noun_id text,
    add column round int not null default 0,
    add column promise jsonb,
    add column facts jsonb not null default '{}',
    add column running_since timestamptz,      -- null = paused or stopped
    add column used_s double precision not null default 0,
    add column met bool;                       -- null = runs, or ended for nothing
update clock set noun_id = case_id::text,
    running_since = case when stopped_at is null then started_at end,
    met = case when stopped_at is not null then stopped_at <= due_at end,
    promise = jsonb_build_object(
        'kind', kind, 'zh', '到达现场', 'en', 'arrival', 'variant', '',
        'target_s', extract(epoch from due_at - started_at),
        'warn', '[{"percent": 50, "to": ["station"]}, {"percent": 80, "to": ["station"]},
                  {"percent": 100, "to": ["station"]}]'::jsonb);
alter table clock
    drop column case_id,
    alter column noun drop default,
    alter column noun_id set not null,
    alter column promise set not null;
create unique index clock_running on clock (noun, noun_id, kind) where stopped_at is null;
create index clock_by_noun on clock (noun, noun_id);

create index clock_alerts on clock (kind, noun_id) where noun = 'alert' and stopped_at is null;
create index alert_new on alert (recorded_at)
    where handling = 'new' and state in ('firing', 'stale') and not history and severity >= 1;

create view clock_timeliness as               -- clocks met / clocks ended (domain.md 6.8)
    select kind, promise ->> 'brand' as brand, promise ->> 'variant' as variant,
           count(*) as ended, count(*) filter (where met) as met,
           count(*) filter (where met)::double precision / count(*) as timeliness
    from clock where met is not null group by 1, 2, 3;

-- Rescue cases ---------------------------------------------------------------------------------

alter table rescue_case
    alter column alert_id drop not null,      -- null: a person asked
    add column source text not null default 'alert'
        check (source in ('alert', 'driver', 'call_centre')),
    add column note text not null default '',
    add column needed text[] not null default '{}',
    add column thermal bool not null default false,
    add column owner text not null default 'call_centre' check (owner <> ''),
    add column asked text[] not null default '{}',    -- who may answer a broadcast
    add column confirmed_at timestamptz,
    add column promised_at timestamptz,       -- what the accepting crew said
    add column eta_at timestamptz,            -- by its newest position
    add column arrived_at timestamptz,        -- the crew's button
    add column arrived_m double precision,    -- how far its position was then
    add column proven_at timestamptz,         -- the proof by position
    add column second_unit_id text references rescue_unit,
    add column second_at timestamptz,
    add column second_joined bool not null default false,
    add column seconds_asked smallint not null default 0,
    add column closed_at timestamptz;
update rescue_case set confirmed_at = requested_at
    where state in ('confirmed', 'offered', 'accepted', 'on_scene', 'no_unit');

drop index rescue_case_open;
create index rescue_case_open on rescue_case (requested_at)
    where state not in ('cleared', 'cancelled', 'killed', 'gone_on_arrival');
create index rescue_case_by_state on rescue_case (state, requested_at)
    where state not in ('cleared', 'cancelled', 'killed', 'gone_on_arrival');
drop index rescue_case_one_unit;
create unique index rescue_case_one_unit on rescue_case (unit_id)
    where state in ('offered', 'accepted', 'en_route', 'on_scene', 'fixed_on_site', 'towing', 'at_station');

-- A unit's row names its one case, so no unit is ever first crew here and second crew there.
alter table rescue_unit
    add column speed_kmh double precision,
    add column near_since timestamptz;        -- beside its case's vehicle and standing, since then
create index rescue_unit_place on rescue_unit (latitude_deg, longitude_deg);

create table rescue_offer (                   -- append-only but for the answer
    case_id uuid not null references rescue_case on delete cascade,
    version int not null,                     -- of the case when it was offered
    unit_id text not null references rescue_unit,
    kind text not null check (kind in ('offer', 'broadcast', 'second')),
    offered_at timestamptz not null,
    eta_s double precision not null,
    answer text check (answer in ('accepted', 'declined', 'expired', 'withdrawn')),
    answered_at timestamptz,
    primary key (case_id, version, unit_id)
);
create index rescue_offer_open on rescue_offer (case_id) where answer is null;
create index rescue_offer_by_unit on rescue_offer (unit_id, offered_at);

create view rescue_arrival as                 -- one row a case somebody arrived at
    select c.case_id, c.zone, c.owner, c.unit_id, u.station_id, u.provider, c.requested_at,
           c.promised_at, c.arrived_at, c.proven_at,
           c.proven_at - c.arrived_at as proof_minus_button,
           k.met as on_time,
           c.arrived_at <= c.promised_at + interval '15 min' as within_eta    -- grace: our own
    from rescue_case c
    join rescue_unit u using (unit_id)
    left join clock k on k.noun = 'rescue_case' and k.noun_id = c.case_id::text and k.kind = 'arrival'
    where c.arrived_at is not null;

create view rescue_scorecard as               -- providers, stations and units (domain.md 2.4)
    select u.unit_id, u.station_id, u.provider, coalesce(o.offered, 0) as offered,
           coalesce(o.accepted, 0) as accepted, coalesce(o.declined, 0) as declined,
           coalesce(o.expired, 0) as expired, o.acceptance, o.mean_eta_s,
           coalesce(a.arrived, 0) as arrived, a.on_time, a.within_eta, a.proven
    from rescue_unit u
    left join (
        select unit_id, count(*) as offered,
               count(*) filter (where answer = 'accepted') as accepted,
               count(*) filter (where answer = 'declined') as declined,
               count(*) filter (where answer = 'expired') as expired,
               count(*) filter (where answer = 'accepted')::double precision
                   / nullif(count(*) filter (where answer <> 'withdrawn'), 0) as acceptance,
               avg(eta_s) as mean_eta_s
        from rescue_offer group by 1
    ) o using (unit_id)
    left join (
        select unit_id, count(*) as arrived, avg(on_time::int) as on_time,
               avg(within_eta::int) as within_eta, avg((proven_at is not null)::int) as proven
        from rescue_arrival group by 1
    ) a using (unit_id);
