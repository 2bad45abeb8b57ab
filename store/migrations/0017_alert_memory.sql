-- What a rule remembered before it raised an alert, where the alert's frames alone do not raise it
-- again: windows over trips and hours.

create table alert_memory (
    alert_id uuid primary key references alert on delete cascade,
    since_ns bigint not null,                 -- it stands before samples of this moment
    memory jsonb not null
);
