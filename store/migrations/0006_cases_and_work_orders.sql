-- Diagnosis cases with their repair plans, work orders, complaints and incidents (domain.md 6.3,
-- 6.4, 6.6). One row each; who did what, when and why is in `audit`, which only ever grows.

create table diagnosis_case (
    case_id uuid primary key,
    vehicle_id int not null references vehicle on delete cascade,
    alert_id uuid not null references alert on delete cascade,      -- the first of the fault
    fault_key text not null,                  -- with the vehicle: the identity of the fault
    rule_id text not null,
    severity smallint not null,
    state text not null check (state in ('open', 'triaged', 'planned', 'awaiting_vehicle',
        'at_station', 'escalated_l2', 'escalated_l3', 'incident', 'done', 'remote_solved')),
    level smallint not null check (level between 1 and 3),          -- station, engineer, expert
    station_id text references station,
    owner text not null check (owner <> ''),
    drivable bool,
    repeat_no int not null check (repeat_no >= 1),
    repeat_of uuid references diagnosis_case on delete set null,
    opened_at timestamptz not null,
    changed_at timestamptz not null,
    planned_at timestamptz,
    closed_at timestamptz,
    closed_odometer_km double precision,
    version int not null
);
create unique index diagnosis_case_one_open on diagnosis_case (vehicle_id, fault_key)
    where closed_at is null;
create index diagnosis_case_closed on diagnosis_case (vehicle_id, fault_key, closed_at desc)
    where closed_at is not null;
create index diagnosis_case_newest on diagnosis_case (opened_at desc, case_id);
create index diagnosis_case_open on diagnosis_case (opened_at) where closed_at is null;

create table diagnosis_case_alert (           -- every alert of the fault while the case is open
    alert_id uuid primary key references alert on delete cascade,
    case_id uuid not null references diagnosis_case on delete cascade
);
create index diagnosis_case_alert_by_case on diagnosis_case_alert (case_id);

create table repair_plan (                    -- a version is written once; approval is added
    case_id uuid not null references diagnosis_case on delete cascade,
    version int not null check (version >= 1),
    body jsonb not null,                      -- model.repair_plan.PlanBody
    templates text[] not null default '{}',
    author text not null,
    created_at timestamptz not null,
    approved_by text references person,
    approved_at timestamptz,
    check ((approved_by is null) = (approved_at is null)),
    primary key (case_id, version)
);

create table work_order (
    work_order_id uuid primary key,
    vehicle_id int not null references vehicle on delete cascade,
    case_id uuid unique references diagnosis_case on delete set null,
    source text not null check (source in ('alert', 'complaint', 'customer', 'maintenance', 'rework')),
    priority_lane bool not null,
    loaner_needed bool not null,
    station_id text references station,
    owner text not null check (owner <> ''),
    state text not null check (state in ('draft', 'requested', 'booked', 'checked_in', 'diagnosing',
        'quoted', 'approved', 'in_repair', 'waiting_parts', 'quality_check', 'ready', 'handed_over',
        'verifying', 'closed', 'reopened', 'declined', 'no_show', 'cancelled')),
    complaint text not null,
    confirmed_cause text not null,
    correction text not null,
    items text[] not null,
    parts jsonb not null,                     -- [{part_no, qty, urgent}]
    extra_items jsonb not null,               -- [{text, found_at, told_at}]
    photos_ref text[] not null,
    repeat_no int not null check (repeat_no >= 1),
    opened_at timestamptz not null,
    changed_at timestamptz not null,          -- when the last step was taken
    appointment_at timestamptz,
    checked_in_at timestamptz,
    promised_at timestamptz,
    ready_at timestamptz,
    handed_over_at timestamptz,
    odometer_km double precision,             -- at hand-over
    visited_at timestamptz,                   -- return visit
    verified_at timestamptz,                  -- the stream has shown that the repair lasts
    closed_at timestamptz,
    overrun bool not null,
    version int not null,
    checked_at timestamptz                    -- when verification was last looked at
);
create index work_order_newest on work_order (opened_at desc, work_order_id);
create index work_order_queue on work_order (station_id, priority_lane desc, opened_at)
    where state not in ('closed', 'declined', 'cancelled');
create index work_order_by_vehicle on work_order (vehicle_id, opened_at desc);
create index work_order_verifying on work_order (checked_at nulls first)
    where state in ('handed_over', 'verifying');

create table incident (
    incident_id uuid primary key,
    vehicle_id int not null references vehicle on delete cascade,
    case_id uuid references diagnosis_case on delete set null,
    cause text not null check (cause in ('emergency', 'cluster', 'repeat', 'cohort', 'person')),
    rule_id text not null,
    severity smallint not null,
    station_id text references station,
    owner text not null check (owner <> ''),
    state text not null check (state in ('new', 'reported', 'planned', 'answered', 'closed')),
    report text not null,
    plan text not null,
    answer text not null,
    opened_at timestamptz not null,
    changed_at timestamptz not null,
    closed_at timestamptz,
    version int not null
);
create index incident_newest on incident (opened_at desc, incident_id);
create index incident_by_case on incident (case_id) where case_id is not null;

create table complaint (
    complaint_id uuid primary key,
    vehicle_id int not null references vehicle on delete cascade,
    work_order_id uuid references work_order on delete set null,
    reference text not null,                  -- its number in the CRM
    brand text not null,                      -- whose promises count
    grade text not null check (grade in ('ordinary', 'major')),
    level smallint not null check (level between 1 and 3),          -- advisor, manager, general manager
    owner text not null check (owner <> ''),
    state text not null check (state in ('new', 'answered', 'plan', 'waiting_customer', 'solved',
        'confirmed', 'withdrawn')),
    text text not null,
    opened_at timestamptz not null,
    changed_at timestamptz not null,
    first_reply_at timestamptz,
    closed_at timestamptz,
    proof text not null,
    version int not null
);
create index complaint_newest on complaint (opened_at desc, complaint_id);

-- History --------------------------------------------------------------------------------------

create function audit_only_grows() returns trigger language plpgsql as $$
begin
    raise exception 'audit rows are never changed';
end $$;
create trigger audit_only_grows before update or delete on audit
    for each row execute function audit_only_grows();

create view step_history as                   -- every step of the four, with the state it led to
    select noun, noun_id, (detail ->> 'version')::int as version, detail ->> 'from' as from_state,
           step, detail ->> 'state' as to_state, actor, reason,
           (detail ->> 'at')::timestamptz as at, recorded_at
    from audit
    where noun in ('diagnosis_case', 'work_order', 'complaint', 'incident') and detail ? 'version';

create view repair_days as                    -- days in the workshop, all visits of a vehicle
    select w.vehicle_id, count(*) as visits,
           sum(extract(epoch from s.to_at - s.from_at)) / 86400 as days
    from work_order w
    join lateral (
        select h.at as from_at, lead(h.at) over (order by h.version) as to_at, h.step
        from step_history h
        where h.noun = 'work_order' and h.noun_id = w.work_order_id::text
            and h.step in ('check_in', 'pass_quality')
    ) s on s.step = 'check_in' and s.to_at is not null
    group by 1;
