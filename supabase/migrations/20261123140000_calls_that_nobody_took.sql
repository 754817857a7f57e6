-- A call that we have placed, and that nobody took, has a row (`dials_ended`), and is no call: from the request to the end of the ringing nobody talked, nothing
-- was used, and no cost will ever come. The sums and the report leave such rows out, as the metrics and the data points do. They are those that ended of what their
-- dial ended of: no call ends of such a reason, and a dial that was answered has none.

create or replace view public.usage_by_day with (security_invoker = true) as
select
  user_id, campaign_id, (start_time at time zone 'UTC')::date as day,
  count(*) as calls,
  count(*) filter (where cardinality(cost_unpriced) > 0) as calls_partly_unpriced,
  count(*) filter (where cost_unpriced is null) as calls_not_priced_yet,
  coalesce(sum(duration_seconds), 0) as seconds,
  sum(cost) as cost
from public.call_logs
where dial ->> 'reason' is null or end_reason is distinct from dial ->> 'reason'
group by user_id, campaign_id, (start_time at time zone 'UTC')::date;

comment on view public.usage_by_day is
  'Calls, their seconds and what they cost, by user, campaign and day (UTC), without those that we have placed and nobody took. cost null: of none of them is it known.';

-- Of the calls that began in [since, until): {calls, callsPerSecond, peakCallsPerSecond, ended, failed, averageSeconds, errors: [{error, source, times}],
-- users: [{userId, calls, seconds}], latency: {answers, p50, p95, p99}}; the lists have `most` entries. Reads only.
create or replace function public.call_report(since timestamptz, until timestamptz, most integer) returns jsonb
language sql stable security invoker set search_path = ''
as $$
  with calls as (
    select call_id, user_id, status, start_time, duration_seconds
    from public.call_logs
    where start_time >= since and start_time < until
      and (dial ->> 'reason' is null or end_reason is distinct from dial ->> 'reason')
  ),
  errors as (
    select lower(regexp_replace(failure.code, '^PROVIDER_', '')) as error,
      coalesce(failure.provider, 'service') as source, count(*) as times
    from public.call_failures as failure
    join calls using (call_id)
    group by 1, 2
    order by times desc, error, source
    limit most
  ),
  users as (
    select user_id, count(*) as calls, coalesce(sum(duration_seconds), 0) as seconds
    from calls
    group by user_id
    order by calls desc, user_id
    limit most
  ),
  latencies as (
    select (turn.latency ->> 'totalMs')::numeric as ms
    from public.call_turns as turn
    join calls using (call_id)
    where turn.latency is not null
  )
  select jsonb_build_object(
    'calls', (select count(*) from calls),
    'callsPerSecond',
      (select round(count(*) / nullif(extract(epoch from until - since), 0), 6) from calls),
    'peakCallsPerSecond', (
      select coalesce(max(began), 0)
      from (select count(*) as began from calls group by date_trunc('second', start_time)) as seconds
    ),
    'ended', (select count(*) from calls where status <> 'active'),
    'failed', (select count(*) from calls where status = 'failed'),
    'averageSeconds', (select round(avg(duration_seconds), 3) from calls where status <> 'active'),
    'errors', (select coalesce(jsonb_agg(to_jsonb(errors)), '[]') from errors),
    'users', (
      select coalesce(jsonb_agg(jsonb_build_object('userId', user_id, 'calls', calls, 'seconds', seconds)), '[]')
      from users
    ),
    'latency', (
      select jsonb_build_object(
        'answers', count(*),
        'p50', percentile_disc(0.5) within group (order by ms),
        'p95', percentile_disc(0.95) within group (order by ms),
        'p99', percentile_disc(0.99) within group (order by ms)
      )
      from latencies
    )
  )
$$;
