-- Key figures (domain.md 6.8). Every definition in words: docs/kpis.md.
-- Views count by the station's own day, so that any period is a sum; a share is sum / sum.

-- Duty ----------------------------------------------------------------------------------------

create function station_open(s station, starts timestamptz, ends timestamptz)
returns tstzmultirange language sql stable as $$   -- no hours known: always open
    select case when s.hours = '[]' then tstzmultirange(tstzrange(starts, ends))
    else coalesce((
        select range_agg(tstzrange(o.opens_at, greatest(o.opens_at, o.closes_at)))
        from generate_series((starts at time zone s.time_zone)::date,
                             (ends at time zone s.time_zone)::date, interval '1 day') d,
             jsonb_to_recordset(s.hours) h (weekday int, opens time, closes time),
             lateral (select (d::date + h.opens) at time zone s.time_zone as opens_at,
                             (d::date + h.closes) at time zone s.time_zone as closes_at) o
        where extract(isodow from d) = h.weekday
    ), '{}') * tstzmultirange(tstzrange(starts, ends)) end
$$;

create function station_certified(s station, starts timestamptz, ends timestamptz, kinds text[])
returns tstzmultirange language sql stable as $$   -- somebody with one of these is on duty; {} = any
    select coalesce(range_agg(
        tstzrange(d.from_at, d.to_at) * tstzrange(starts, ends)
        * tstzrange(c.valid_from::timestamp at time zone s.time_zone,
                    (c.valid_to + 1)::timestamp at time zone s.time_zone)), '{}')
    from person p join certificate c using (person_id) join duty_span d using (person_id)
    where p.station_id = s.station_id and p.active and (kinds = '{}' or c.kind = any (kinds))
        and d.from_at < ends and d.to_at > starts
$$;

create function seconds_in(spans tstzmultirange)
returns double precision language sql immutable as $$
    select coalesce(sum(extract(epoch from upper(r) - lower(r))), 0)::double precision
    from unnest(spans) r
$$;

create function duty_cover(starts timestamptz, ends timestamptz, kinds text[] default '{}')
returns table (station_id text, open_s double precision, covered_s double precision)
language sql stable as $$
    select s.station_id, seconds_in(o.spans),
           seconds_in(o.spans * station_certified(s, starts, ends, kinds))
    from station s, lateral (select station_open(s, starts, ends) as spans) o
    where s.active
$$;

-- Days and stations -----------------------------------------------------------------------------

create function local_day(moment timestamptz, station text)
returns date language sql stable as $$             -- Beijing's day where no station is known
    select (moment at time zone coalesce(
        (select s.time_zone from station s where s.station_id = station), 'Asia/Shanghai'))::date
$$;

create view clock_place as                    -- which station answers for an ended clock
    select c.clock_id, c.kind, c.noun, c.noun_id, c.promise, c.started_at, c.stopped_at, c.met,
           p.station_id, local_day(c.stopped_at, p.station_id) as day
    from clock c
    left join rescue_case r on c.noun = 'rescue_case'
        and r.case_id = case c.noun when 'rescue_case' then c.noun_id::uuid end
    left join rescue_unit u using (unit_id)
    left join work_order w on c.noun = 'work_order'
        and w.work_order_id = case c.noun when 'work_order' then c.noun_id::uuid end
    left join diagnosis_case d on c.noun = 'diagnosis_case'
        and d.case_id = case c.noun when 'diagnosis_case' then c.noun_id::uuid end
    left join incident i on c.noun = 'incident'
        and i.incident_id = case c.noun when 'incident' then c.noun_id::uuid end
    left join complaint k on c.noun = 'complaint'
        and k.complaint_id = case c.noun when 'complaint' then c.noun_id::uuid end
    left join alert a on c.noun = 'alert'
        and a.alert_id = case c.noun when 'alert' then c.noun_id::uuid end
    left join vehicle v on v.vehicle_id = coalesce(
        a.vehicle_id, r.vehicle_id, w.vehicle_id, d.vehicle_id, i.vehicle_id, k.vehicle_id)
    cross join lateral (select coalesce(c.facts ->> 'station_id', u.station_id, w.station_id,
        d.station_id, i.station_id, nullif(v.attrs ->> 'preferred_station', '')) as station_id) p
    where c.stopped_at is not null;

create index clock_stopped on clock (stopped_at) where stopped_at is not null;
create index work_order_checked_in on work_order (checked_in_at) where checked_in_at is not null;
create index work_order_ready on work_order (ready_at) where ready_at is not null;

-- Promises ----------------------------------------------------------------------------------------

create view kpi_timeliness as                 -- clocks met / clocks ended; pauses do not count
    select day, station_id, noun, kind, coalesce(promise ->> 'brand', 'default') as brand,
           coalesce(promise ->> 'variant', '') as variant,
           count(*) as ended, count(*) filter (where met) as met
    from clock_place                          -- void: the promise fell away; scene: for information only
    where met is not null and kind <> 'scene'
    group by 1, 2, 3, 4, 5, 6;

create view alert_response as                 -- one row an alert that somebody has seen
    select c.day, c.station_id, a.alert_id, a.rule_id, a.severity, c.started_at, c.stopped_at,
           extract(epoch from c.stopped_at - c.started_at)::double precision as seconds, c.met
    from clock_place c join alert a
        on a.alert_id = case c.noun when 'alert' then c.noun_id::uuid end
    where c.kind = 'acknowledge';

create view kpi_first_response as
    select day, station_id, severity, count(*) as alerts, avg(seconds) as mean_s,
           percentile_cont(0.9) within group (order by seconds) as p90_s
    from alert_response group by 1, 2, 3;

-- Rescue ------------------------------------------------------------------------------------------

create view kpi_arrival as                    -- late, early: against the promise of the zone
    select local_day(requested_at, station_id) as day, zone, station_id, provider,
           count(*) as arrived, count(*) filter (where on_time) as on_time,
           count(*) filter (where promised_at is not null) as with_eta,
           count(*) filter (where within_eta) as within_eta,
           count(*) filter (where proven_at is not null) as proven
    from rescue_arrival group by 1, 2, 3, 4;

create view kpi_acceptance as                 -- an offer taken back before an answer does not count
    select local_day(o.offered_at, u.station_id) as day, o.unit_id, u.station_id, u.provider,
           count(*) as offered, count(*) filter (where o.answer = 'accepted') as accepted
    from rescue_offer o join rescue_unit u using (unit_id)
    where o.answer is distinct from 'withdrawn' group by 1, 2, 3, 4;

-- Workshop ----------------------------------------------------------------------------------------

create view order_outcome as                  -- one row a repair that was closed at least once
    select w.work_order_id, w.station_id, w.opened_at, w.changed_at, f.first_closed_at,
           local_day(f.first_closed_at, w.station_id) as day,
           f.verified and not f.failed and not f.recurred and not exists (
               select from diagnosis_case n
               where n.repeat_of = w.case_id
                   and n.opened_at < f.first_closed_at + interval '30 d') as first_time
    from work_order w
    join lateral (
        select t.first_closed_at,
               bool_or(h.step = 'pass_verification' and h.at <= t.first_closed_at) as verified,
               bool_or(h.step = 'fail_verification' and h.at <= t.first_closed_at) as failed,
               bool_or(h.step = 'recur' and h.at < t.first_closed_at + interval '30 d') as recurred
        from step_history h,
             lateral (select min(c.at) as first_closed_at from step_history c
                      where c.noun = 'work_order' and c.noun_id = w.work_order_id::text
                          and c.to_state = 'closed') t
        where h.noun = 'work_order' and h.noun_id = w.work_order_id::text
            and t.first_closed_at is not null
        group by 1
    ) f on true
    where w.source <> 'maintenance';

create view kpi_first_time_resolution as      -- of the last 30 days: may still fall
    select day, station_id, count(*) as closed, count(*) filter (where first_time) as first_time
    from order_outcome group by 1, 2;

create view order_visit as                    -- one row a visit for a fault
    select w.work_order_id, w.station_id, w.checked_in_at,
           local_day(w.checked_in_at, w.station_id) as day,
           exists (select from repair_plan p
                   where p.case_id = w.case_id and p.approved_at <= w.checked_in_at) as planned
    from work_order w where w.checked_in_at is not null and w.case_id is not null;

create view kpi_plan_ahead as                 -- visits whose plan was approved before
    select day, station_id, count(*) as visits, count(*) filter (where planned) as planned
    from order_visit group by 1, 2;

create view order_time as                     -- check-in to ready, and how long of it diagnosing
    select w.work_order_id, w.station_id, w.ready_at, local_day(w.ready_at, w.station_id) as day,
           extract(epoch from w.ready_at - w.checked_in_at)::double precision as dwell_s,
           coalesce(g.seconds, 0)::double precision as diagnosing_s
    from work_order w
    left join lateral (
        select sum(extract(epoch from h.until - h.at)) as seconds
        from (select at, to_state, lead(at) over (order by version) as until from step_history
              where noun = 'work_order' and noun_id = w.work_order_id::text) h
        where h.to_state = 'diagnosing'
    ) g on true
    where w.ready_at >= w.checked_in_at;

create view kpi_workshop_time as
    select day, station_id, count(*) as orders, sum(dwell_s) as dwell_s,
           sum(diagnosing_s) as diagnosing_s
    from order_time group by 1, 2;

create view alert_judgement as                -- one row an alert that was found true or false
    select a.alert_id, a.rule_id, p.station_id, a.fired_at,
           local_day(a.fired_at, p.station_id) as day,
           j.confirmed, j.refuted and not j.confirmed as refuted
    from alert a join vehicle v using (vehicle_id)
    cross join lateral (
        select nullif(v.attrs ->> 'preferred_station', '') as station_id) p
    cross join lateral (select
        a.handling = 'resolved' or exists (
            select from diagnosis_case_alert l join work_order w using (case_id)
            where l.alert_id = a.alert_id and w.confirmed_cause <> ''
                and w.handed_over_at is not null) as confirmed,
        a.handling = 'dismissed' and coalesce((
            select u.detail ->> 'code' from audit u
            where u.noun = 'alert' and u.noun_id = a.alert_id::text and u.step = 'dismiss'
            order by u.audit_id desc limit 1), 'false_alarm') = 'false_alarm' as refuted) j
    where a.state <> 'retracted' and (j.confirmed or j.refuted);

create view kpi_alert_precision as            -- confirmed / (confirmed + dismissed as false)
    select day, station_id, rule_id, count(*) filter (where confirmed) as confirmed,
           count(*) filter (where refuted) as dismissed
    from alert_judgement group by 1, 2, 3;

-- Load ----------------------------------------------------------------------------------------

create function station_load_at(moment timestamptz)
returns table (station_id text, bays int, customers bigint, in_workshop bigint, booked bigint,
               predicted bigint, load double precision, customers_per_bay double precision)
language sql stable as $$
    with places as (
        select s.station_id, s.bays,
            (select count(*) from vehicle v
             where v.attrs ->> 'preferred_station' = s.station_id
                 and v.attrs ->> 'preferred_station' <> '') as customers,
            (select count(*) from work_order w
             where w.station_id = s.station_id and w.state in ('checked_in', 'diagnosing', 'quoted',
                 'approved', 'in_repair', 'waiting_parts', 'quality_check', 'ready', 'reopened')
            ) as in_workshop,
            (select count(*) from work_order w
             where w.station_id = s.station_id and (w.state in ('draft', 'requested')
                 or w.state = 'booked' and w.appointment_at < moment + interval '7 d')) as booked,
            (select count(distinct m.vehicle_id) from maintenance_item m join vehicle v using (vehicle_id)
             where v.attrs ->> 'preferred_station' = s.station_id
                 and v.attrs ->> 'preferred_station' <> ''
                 and m.handling = 'open' and m.due_at < moment + interval '7 d'
                 and not exists (select from work_order w
                     where w.vehicle_id = m.vehicle_id
                         and w.state not in ('closed', 'declined', 'cancelled', 'handed_over',
                             'verifying', 'no_show'))) as predicted
        from station s where s.active)
    select p.station_id, p.bays, p.customers, p.in_workshop, p.booked, p.predicted,
           (p.in_workshop + p.booked + p.predicted)::double precision / nullif(p.bays, 0),
           p.customers::double precision / nullif(p.bays, 0)
    from places p
$$;

create view kpi_station_load as select * from station_load_at(now());

-- Maintenance -----------------------------------------------------------------------------------

create view kpi_reminder_conversion as        -- as maintenance_conversion, by day and station
    select local_day(r.said_at, p.station_id) as day, p.station_id, count(*) as reminders,
           count(*) filter (where exists (
               select from maintenance_done d
               where d.vehicle_id = r.vehicle_id and d.kind = any (r.kinds)
                   and d.done_at >= r.said_at and d.done_at < r.said_at + interval '30 d')) as visits
    from maintenance_reminder r join vehicle v using (vehicle_id)
    cross join lateral (
        select nullif(v.attrs ->> 'preferred_station', '') as station_id) p
    group by 1, 2;

-- All of them -------------------------------------------------------------------------------------

create function kpi_figures(first_day date, last_day date, only_station text default null)
returns table (key text, part double precision, whole double precision, value double precision)
language sql stable as $$                          -- both days included; value = part / whole
    -- Rough bounds on the moments let indexes work; the days decide.
    with promise as (select c.kind, c.met from clock_place c
        where c.stopped_at >= first_day - 1 and c.stopped_at < last_day + 2
        and c.met is not null and c.kind <> 'scene'
        and c.day between first_day and last_day
        and (only_station is null or c.station_id = only_station)),
    response as (select r.seconds from alert_response r
        where r.stopped_at >= first_day - 1 and r.stopped_at < last_day + 2
        and r.day between first_day and last_day
        and (only_station is null or r.station_id = only_station)),
    repair as (select o.first_time from order_outcome o
        where o.opened_at < last_day + 2 and o.changed_at >= first_day - 1
        and o.day between first_day and last_day
        and (only_station is null or o.station_id = only_station)),
    visit as (select o.planned from order_visit o
        where o.checked_in_at >= first_day - 1 and o.checked_in_at < last_day + 2
        and o.day between first_day and last_day
        and (only_station is null or o.station_id = only_station)),
    workshop as (select o.dwell_s, o.diagnosing_s from order_time o
        where o.ready_at >= first_day - 1 and o.ready_at < last_day + 2
        and o.day between first_day and last_day
        and (only_station is null or o.station_id = only_station)),
    judged as (select j.confirmed from alert_judgement j
        where j.fired_at >= first_day - 1 and j.fired_at < last_day + 2
        and j.day between first_day and last_day
        and (only_station is null or j.station_id = only_station)),
    arrival as (select k.* from kpi_arrival k
        where k.day between first_day and last_day
        and (only_station is null or k.station_id = only_station)),
    offer as (select k.* from kpi_acceptance k
        where k.day between first_day and last_day
        and (only_station is null or k.station_id = only_station)),
    reminder as (select k.* from kpi_reminder_conversion k
        where k.day between first_day and last_day
        and (only_station is null or k.station_id = only_station)),
    cover as (select c.* from duty_cover(
        first_day::timestamp at time zone 'Asia/Shanghai',
        (last_day + 1)::timestamp at time zone 'Asia/Shanghai') c
        where only_station is null or c.station_id = only_station),
    figure (place, key, part, whole) as (
        select 1, 'timeliness', sum(met::int), count(*) from promise
        union all select 2, 'response_mean_min', sum(seconds) / 60, count(*) from response
        union all select 3, 'response_p90_min',
            percentile_cont(0.9) within group (order by seconds) / 60 * count(*), count(*) from response
        union all select 4, 'first_time_resolution', sum(first_time::int), count(*) from repair
        union all select 5, 'arrival_city', sum(on_time), sum(arrived) from arrival where zone = 'city'
        union all select 6, 'arrival_county', sum(on_time), sum(arrived) from arrival where zone = 'county'
        union all select 7, 'arrival_province', sum(on_time), sum(arrived) from arrival
            where zone = 'province'
        union all select 8, 'arrival_within_eta', sum(within_eta), sum(with_eta) from arrival
        union all select 9, 'acceptance', sum(accepted), sum(offered) from offer
        union all select 10, 'plan_ahead', sum(planned::int), count(*) from visit
        union all select 11, 'diagnosing_h', sum(diagnosing_s) / 3600, count(*) from workshop
        union all select 12, 'dwell_h', sum(dwell_s) / 3600, count(*) from workshop
        union all select 13, 'alert_precision', sum(confirmed::int), count(*) from judged
        union all select 14, 'parts_in_time', sum(met::int), count(*) from promise
            where kind = 'parts'
        union all select 15, 'complaint_respond', sum(met::int), count(*) from promise
            where kind = 'complaint_respond'
        union all select 16, 'complaint_close', sum(met::int), count(*) from promise
            where kind = 'complaint_close'
        union all select 17, 'duty_cover', sum(covered_s), sum(open_s) from cover
        union all select 18, 'reminder_conversion', sum(visits), sum(reminders) from reminder)
    select f.key, coalesce(f.part, 0)::double precision, coalesce(f.whole, 0)::double precision,
           (f.part / nullif(f.whole, 0))::double precision
    from figure f order by f.place
$$;
