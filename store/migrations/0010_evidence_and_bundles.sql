-- Rules that change at run time, and what an alert must keep so that it can be shown again.

create table rule_bundle (
    hash text primary key,                    -- of file names and texts, as rules.bundle counts it
    version text not null,                    -- major.minor.patch
    origin text not null check (origin in ('files', 'operator')),
    state text not null check (state in ('shadow', 'active', 'retired')),
    packs jsonb not null,                     -- file name -> text; all of them
    tests jsonb not null,                     -- file name -> text
    actor text not null,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now()
);
create unique index rule_bundle_one_active on rule_bundle (state) where state = 'active';
create unique index rule_bundle_one_shadow on rule_bundle (state) where state = 'shadow';

create table shadow_alert (                   -- what a bundle on trial would have said; nobody is told
    bundle_hash text not null references rule_bundle on delete cascade,
    alert_id uuid not null,
    vehicle_id int not null references vehicle on delete cascade,
    rule_id text not null,
    rule_version int not null,
    instance text not null,
    severity smallint not null,
    state text not null,
    started_at timestamptz not null,
    fired_at timestamptz not null,
    changed_at timestamptz not null,
    evidence jsonb not null,
    thresholds jsonb not null,
    primary key (bundle_hash, alert_id)
);
create index shadow_alert_newest on shadow_alert (fired_at desc, alert_id);

alter table alert
    add column bundle_hash text not null default '',   -- the rules that said it last
    add column profile_hash text not null default '',  -- how its frames were decoded
    add column reason text not null default '',        -- rule_removed; '' = the vehicle says so
    add column lead_s double precision not null default 30,  -- how far before its start the rule looked
    add column context jsonb;                  -- kept when the signals it is made of are forgotten

create table evidence_block (                 -- frame blocks of alerts that outlive retention
    block_id bigint primary key,
    vehicle_id int not null references vehicle on delete cascade,
    time timestamptz not null,
    t_end timestamptz not null,
    received_at timestamptz not null,
    n int not null,
    codec smallint not null,
    frames bytea not null
);
alter table evidence_block alter column frames set storage external;
create index evidence_block_by_vehicle on evidence_block (vehicle_id, time desc);
