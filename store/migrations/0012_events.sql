-- Outbound events: every change of state leaves a row in the outbox, in the transaction that makes
-- it, whoever makes it. Nothing is written while nobody listens (see `event_wanted`).
-- The bodies are dispatch.events; a test reads each of them with those models.

create table event_sink (                     -- the installation's own listeners: kafka, webhook
    name text primary key,
    since timestamptz not null default now()
);
create sequence event_number;
alter table installation add column event_source text not null default '/roadcall';

create function event_wanted() returns bool language sql stable as $$
    select exists (select from event_sink)
        or exists (select from subscription where active and audience = 'integration')
$$;

-- The key is the event's id for ever; the number orders the events of one vehicle.
create function tell_event(kind text, subject text, vin text, station text, severity int, body jsonb)
returns void language plpgsql as $$
declare
    number bigint := nextval('event_number');
begin
    insert into outbox (key, kind, body, next_attempt_at) values (
        'event/' || subject || '/' || number, 'event.' || kind,
        jsonb_build_object('subject', subject, 'time', clock_timestamp(), 'sequence', number,
            'source', (select event_source from installation),
            'vin', vin, 'station_id', station, 'severity', severity, 'data', body),
        now());
end $$;

create function vin_of_vehicle(id int) returns text language sql stable as $$
    select vin from vehicle where vehicle_id = id
$$;
create function station_of_vehicle(id int) returns text language sql stable as $$
    select nullif(attrs ->> 'preferred_station', '') from vehicle where vehicle_id = id
$$;

-- Alerts: told at commit, because whether one is hushed is decided after it was written. What was
-- told last is kept with the alert; a hushed alert is not told until it is heard after all.
alter table alert add column told jsonb;

create function event_of_alert() returns trigger language plpgsql as $$
declare
    a alert;
    said jsonb;
    kind text;
begin
    if not event_wanted() then return null; end if;
    select * into a from alert where alert_id = new.alert_id;
    if a.alert_id is null or (a.suppressed_by is not null and a.told is null) then return null; end if;
    said := jsonb_build_object('state', a.state, 'severity', a.severity, 'handling', a.handling,
        'suppressed_by', a.suppressed_by, 'occurrence', a.occurrence);
    if said = a.told or (a.told is null and a.state = 'retracted') then return null; end if;
    kind := case when a.told is null then 'fired'
                 when said ->> 'state' = a.told ->> 'state' then 'changed'
                 when a.state in ('cleared', 'retracted') then a.state
                 else 'changed' end;
    update alert set told = said where alert_id = a.alert_id;
    perform tell_event('alert.' || kind, 'alert/' || a.alert_id, vin_of_vehicle(a.vehicle_id),
        station_of_vehicle(a.vehicle_id), a.severity, said || jsonb_build_object(
            'alert_id', a.alert_id, 'vin', vin_of_vehicle(a.vehicle_id), 'rule_id', a.rule_id,
            'rule_version', a.rule_version, 'instance', a.instance, 'history', a.history,
            'started_at', a.started_at, 'fired_at', a.fired_at, 'changed_at', a.changed_at,
            'cleared_at', a.cleared_at, 'first_alert_id', a.first_alert_id,
            'evidence', a.evidence, 'thresholds', a.thresholds));
    return null;
end $$;
create constraint trigger event_alert
    after insert or update of state, severity, handling, suppressed_by, occurrence on alert
    deferrable initially deferred for each row execute function event_of_alert();

create function event_of_rescue() returns trigger language plpgsql as $$
begin
    if (tg_op = 'UPDATE' and old.state = new.state and old.unit_id is not distinct from new.unit_id)
        or not event_wanted() then return null; end if;
    perform tell_event('rescue.changed', 'rescue/' || new.case_id, vin_of_vehicle(new.vehicle_id),
        nullif(new.owner, 'call_centre'), new.severity, jsonb_build_object(
            'case_id', new.case_id, 'vin', vin_of_vehicle(new.vehicle_id), 'alert_id', new.alert_id,
            'source', new.source, 'severity', new.severity, 'thermal', new.thermal,
            'state', new.state, 'before', case when tg_op = 'UPDATE' then old.state end,
            'owner', new.owner, 'zone', new.zone, 'unit_id', new.unit_id,
            'requested_at', new.requested_at, 'promised_at', new.promised_at,
            'arrived_at', new.arrived_at, 'version', new.version));
    return null;
end $$;
create trigger event_rescue after insert or update of state, unit_id on rescue_case
    for each row execute function event_of_rescue();

create function event_of_work_order() returns trigger language plpgsql as $$
begin
    if (tg_op = 'UPDATE' and old.state = new.state) or not event_wanted() then return null; end if;
    perform tell_event('work_order.changed', 'work_order/' || new.work_order_id,
        vin_of_vehicle(new.vehicle_id), new.station_id, null, jsonb_build_object(
            'work_order_id', new.work_order_id, 'vin', vin_of_vehicle(new.vehicle_id),
            'case_id', new.case_id, 'source', new.source, 'state', new.state,
            'before', case when tg_op = 'UPDATE' then old.state end, 'station_id', new.station_id,
            'owner', new.owner, 'priority_lane', new.priority_lane, 'repeat_no', new.repeat_no,
            'appointment_at', new.appointment_at, 'promised_at', new.promised_at,
            'changed_at', new.changed_at, 'version', new.version));
    return null;
end $$;
create trigger event_work_order after insert or update of state on work_order
    for each row execute function event_of_work_order();

create function event_of_maintenance() returns trigger language plpgsql as $$
declare
    kind text := case
        when new.handling = 'booked' and (tg_op = 'INSERT' or old.handling <> 'booked') then 'booked'
        when new.state <> 'ok' and (tg_op = 'INSERT' or old.state <> new.state) then 'due' end;
begin
    if kind is null or not event_wanted() then return null; end if;
    perform tell_event('maintenance.' || kind, 'maintenance/' || new.vehicle_id || '/' || new.kind,
        vin_of_vehicle(new.vehicle_id),
        coalesce(new.station_id, station_of_vehicle(new.vehicle_id)), 0, jsonb_build_object(
            'vin', vin_of_vehicle(new.vehicle_id), 'service', new.kind, 'state', new.state,
            'handling', new.handling, 'booked_for',
            case when new.handling = 'booked' then new.handling_until end,
            'station_id', new.station_id, 'remaining_km', new.remaining_km,
            'remaining_days', new.remaining_days, 'remaining_h', new.remaining_h,
            'due_at', new.due_at, 'reason', new.reason, 'cycle', new.cycle));
    return null;
end $$;
create trigger event_maintenance after insert or update of state, handling on maintenance_item
    for each row execute function event_of_maintenance();

create function event_of_incident() returns trigger language plpgsql as $$
begin
    if (tg_op = 'UPDATE' and old.state = new.state) or not event_wanted() then return null; end if;
    perform tell_event('incident.changed', 'incident/' || new.incident_id,
        vin_of_vehicle(new.vehicle_id), new.station_id, new.severity, jsonb_build_object(
            'incident_id', new.incident_id, 'vin', vin_of_vehicle(new.vehicle_id),
            'case_id', new.case_id, 'cause', new.cause, 'rule_id', new.rule_id,
            'severity', new.severity, 'state', new.state,
            'before', case when tg_op = 'UPDATE' then old.state end, 'station_id', new.station_id,
            'owner', new.owner, 'opened_at', new.opened_at, 'changed_at', new.changed_at,
            'version', new.version));
    return null;
end $$;
create trigger event_incident after insert or update of state on incident
    for each row execute function event_of_incident();

create function event_of_complaint() returns trigger language plpgsql as $$
begin
    if (tg_op = 'UPDATE' and old.state = new.state and old.level = new.level) or not event_wanted()
        then return null; end if;
    perform tell_event('complaint.changed', 'complaint/' || new.complaint_id,
        vin_of_vehicle(new.vehicle_id), station_of_vehicle(new.vehicle_id), null, jsonb_build_object(
            'complaint_id', new.complaint_id, 'vin', vin_of_vehicle(new.vehicle_id),
            'work_order_id', new.work_order_id, 'reference', new.reference, 'brand', new.brand,
            'grade', new.grade, 'level', new.level, 'owner', new.owner, 'state', new.state,
            'before', case when tg_op = 'UPDATE' then old.state end, 'opened_at', new.opened_at,
            'first_reply_at', new.first_reply_at, 'closed_at', new.closed_at,
            'changed_at', new.changed_at, 'version', new.version));
    return null;
end $$;
create trigger event_complaint after insert or update of state, level on complaint
    for each row execute function event_of_complaint();

create function event_of_clock() returns trigger language plpgsql as $$
declare
    own text := new.facts ->> 'vin';
begin
    if old.warned_percent >= 100 or old.met is false
        or not (new.warned_percent >= 100 or new.met is false) or not event_wanted()
        then return null; end if;
    if own is null and new.noun = 'rescue_case' then
        select vin_of_vehicle(vehicle_id) into own from rescue_case where case_id::text = new.noun_id;
    end if;
    perform tell_event('clock.breached', 'clock/' || new.clock_id, own,
        new.facts ->> 'station_id', null, jsonb_build_object(
            'clock_id', new.clock_id, 'vin', own, 'kind', new.kind, 'noun', new.noun,
            'noun_id', new.noun_id, 'brand', new.promise ->> 'brand',
            'variant', new.promise ->> 'variant', 'target_s', (new.promise -> 'target_s')::float8,
            'started_at', new.started_at, 'due_at', new.due_at, 'stopped_at', new.stopped_at));
    return null;
end $$;
create trigger event_clock after update of warned_percent, met on clock
    for each row execute function event_of_clock();
