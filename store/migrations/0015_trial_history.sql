-- A bundle on trial is run over late data too: what history compares is kept of its alerts as well.

alter table shadow_alert add column evidence_at timestamptz;  -- when it was as serious as it is
update shadow_alert set evidence_at = fired_at;
alter table shadow_alert alter column evidence_at set not null;
create index shadow_alert_by_vehicle on shadow_alert (vehicle_id, bundle_hash);
