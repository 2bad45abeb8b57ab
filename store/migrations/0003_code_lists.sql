-- Lists of trouble codes that go before our own texts (model/code_book.py).

create table code_list (
    list_name text primary key,
    brand text not null default '',
    model text not null default '' check (model = '' or brand <> ''),
    digest bytea not null,                    -- of brand, model and rows: the same again changes nothing
    imported_at timestamptz not null default now()
);
create table listed_code (
    list_name text not null references code_list on delete cascade,
    code text not null,                       -- P0217, U0100-87, 110/0, or 110 for all FMIs
    zh text not null,
    en text not null,
    system text not null,
    severity smallint check (severity between -1 and 4),
    action text not null,
    primary key (list_name, code)
);
create index listed_code_by_code on listed_code (code);
