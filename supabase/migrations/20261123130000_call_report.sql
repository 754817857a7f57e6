-- What operators ask of the log (`npm run report`): the questions of src/metrics/queries, for whom there is no Analytics Engine.

-- Of the calls that began in [since, until): {calls, callsPerSecond, peakCallsPerSecond, ended, failed, averageSeconds, errors: [{error, source, times}],
-- users: [{userId, calls, seconds}], latency: {answers, p50, p95, p99}}; the lists have `most` entries. Reads only.
create function public.call_report(since timestamptz, until timestamptz, most integer) returns jsonb
language sql stable security invoker set search_path = ''
as $$
  with calls as (
    select call_id, user_id, status, start_time, duration_seconds
    from public.call_logs
    where start_time >= since and start_time < until
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

revoke execute on function public.call_report(timestamptz, timestamptz, integer) from public, anon, authenticated;
grant execute on function public.call_report(timestamptz, timestamptz, integer) to service_role;
