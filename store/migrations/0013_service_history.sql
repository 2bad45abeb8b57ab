-- Workers look for what changed in the service history of vehicles twice a minute.

create index audit_newest on audit (recorded_at);
create index maintenance_done_newest on maintenance_done (recorded_at);
