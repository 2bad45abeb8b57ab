-- What an ECU cleared when a tester asked it to (model/code_clears.py). Merges in any order.

create table code_clear (                     -- a group of an ECU's codes during ten minutes
    vehicle_id int not null references vehicle on delete cascade,
    ecu int not null,
    protocol text not null,
    code_group int not null,                  -- as the request names it; J1939: PGN of DM3 or DM11
    bucket int not null,                      -- ten minutes since 1970
    first_ns bigint not null,
    last_ns bigint not null,
    primary key (vehicle_id, ecu, protocol, code_group, bucket)
);
