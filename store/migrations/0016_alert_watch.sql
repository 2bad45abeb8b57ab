-- The dispatcher looks for acknowledge clocks to start and to end once a second: that costs what has
-- changed, not what stands. `watched`: its clock was started, and has not been found settled since.
alter table alert add column watched bool not null default false;
update alert a set watched = true
    where exists (select from clock k where k.noun = 'alert' and k.noun_id = a.alert_id::text
            and k.kind = 'acknowledge'
            and (k.stopped_at is null or (a.handling = 'new' and a.suppressed_by is null)));

create index alert_unwatched on alert (recorded_at)
    where not watched and handling = 'new' and state in ('firing', 'stale') and not history
        and severity >= 1 and suppressed_by is null;
create index alert_settled on alert (alert_id)
    where watched and (handling <> 'new' or state in ('cleared', 'retracted', 'expired')
        or suppressed_by is not null);
drop index alert_new;
drop index clock_alerts;
