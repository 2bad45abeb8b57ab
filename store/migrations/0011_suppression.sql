-- What hushes alerts, who is told of them in which groups, and what people answered.

alter table alert
    add column inhibit_by jsonb not null default '[]',   -- the rule's root causes, as it said them
    add column suppressed_by text,            -- mode:…, silence:…, rule:…, storm:…; null = told
    add column suppressed_until timestamptz,  -- when to look again; null = no end in sight
    add column lifted_at timestamptz,         -- was suppressed, is so no more: may be dispatched yet
    add column occurrence int not null default 1,        -- back within 24 h: counts on
    add column first_alert_id uuid,           -- the first of those; null = itself
    add column snoozed bool not null default false,      -- put off by a person: once only
    add column snoozed_until timestamptz,     -- null = not put off now
    add column grouped bool not null default false,      -- a notice group has it
    drop constraint alert_state_check,
    add constraint alert_state_check
        check (state in ('firing', 'stale', 'cleared', 'retracted', 'expired'));
create index alert_suppressed on alert (suppressed_until)
    where suppressed_by is not null and state in ('firing', 'stale');
create index alert_lifted on alert (lifted_at) where lifted_at is not null and severity >= 3;
create index alert_snoozed on alert (snoozed_until) where snoozed_until is not null;
create index alert_ungrouped on alert (recorded_at)
    where not grouped and not history and suppressed_by is null and state in ('firing', 'stale');
create index alert_folded on alert (suppressed_by) where suppressed_by like 'storm:%';

create table silence (                        -- nobody hears of alerts that match, until then
    silence_id uuid primary key,
    matchers jsonb not null,                  -- model.suppression.Matchers
    starts_at timestamptz not null,
    ends_at timestamptz not null check (ends_at >= starts_at),
    emergencies bool not null default false,  -- severity 4 too
    actor text not null check (actor <> ''),
    reason text not null check (reason <> ''),
    created_at timestamptz not null,
    applied_at timestamptz                    -- open alerts were looked at since the last change
);
create index silence_span on silence (ends_at);

create table vehicle_mode (                   -- a vehicle not on the road as usual
    mode_id uuid primary key,
    vehicle_id int not null references vehicle on delete cascade,
    mode text not null check (mode in ('workshop', 'transport', 'flashing', 'demo')),
    starts_at timestamptz not null,
    ends_at timestamptz not null check (ends_at >= starts_at),
    actor text not null check (actor <> ''),
    reason text not null,
    created_at timestamptz not null,
    applied_at timestamptz
);
create index vehicle_mode_by_vehicle on vehicle_mode (vehicle_id, ends_at);
create index silence_unapplied on silence (starts_at) where applied_at is null;
create index vehicle_mode_unapplied on vehicle_mode (starts_at) where applied_at is null;

create table alert_group (                    -- one notice for what is wrong with one system of a car
    vehicle_id int not null references vehicle on delete cascade,
    system text not null,
    due_at timestamptz,                       -- the next notice; null = nothing to tell
    told_at timestamptz,
    number int not null default 0,            -- of notices: part of the message's key
    primary key (vehicle_id, system)
);
create index alert_group_due on alert_group (due_at) where due_at is not null;
