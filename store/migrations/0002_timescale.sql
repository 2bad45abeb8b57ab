-- requires timescaledb
-- The bulk tables become hypertables. Additive: the core works without this file.
-- No retention policy here: one would silently drop a replayed old log (see store/retention.py).

create extension if not exists timescaledb;

select create_hypertable('signal_segment', by_range('time', interval '6 hours'),
                         create_default_indexes => false);
alter table signal_segment set (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'vehicle_id',
    timescaledb.orderby = 'signal_id, time'
);
-- GB/T 32960 re-issue reaches 7 days back: convert after that.
call add_columnstore_policy('signal_segment', after => interval '10 days');

select create_hypertable('frame_block', by_range('time', interval '6 hours'),
                         create_default_indexes => false);   -- no columnstore: already compressed

drop view signal_1h;
create materialized view signal_1h
    with (timescaledb.continuous, timescaledb.materialized_only = false) as
    select vehicle_id, signal_id, time_bucket(interval '1 hour', time) as bucket, sum(n) as n,
           min(vmin) as vmin, max(vmax) as vmax, sum(vsum) as vsum
    from signal_segment where n > 0 group by 1, 2, 3
    with no data;
select add_continuous_aggregate_policy('signal_1h', start_offset => interval '10 days',
    end_offset => interval '1 hour', schedule_interval => interval '30 minutes');
