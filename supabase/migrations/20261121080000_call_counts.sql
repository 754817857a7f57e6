-- How each conversation went, in numbers: interruptions, false ones, repeats, answers begun in vain, hits of the speech cache.

alter table public.call_logs
  add column counts jsonb
    constraint call_logs_counts_is_object check (jsonb_typeof(counts) = 'object');

comment on column public.call_logs.counts is
  'Of src/call/call-counts.ts; null while the call lasts, and of a call that was lost before it could be told.';
comment on column public.call_turns.latency is
  'Of an agent''s turn that answers the caller: {endpointWaitMs, processingMs, providerMs, totalMs, moments}; moments: milliseconds from the caller''s last voiced sample.';

-- As before, with counts.
create or replace function public.call_ended(call jsonb) returns boolean
language plpgsql security invoker set search_path = ''
as $$
declare
  this_call text := call ->> 'callId';
begin
  perform public.call_started(call);

  -- An object that was restored elsewhere may read a clock behind the one that started the call.
  update public.call_logs
  set status = call ->> 'status', end_reason = call ->> 'endReason',
    end_time = greatest((call ->> 'endTime')::timestamptz, start_time),
    recording = call ->> 'recording', usage = coalesce(call -> 'usage', '[]'),
    counts = nullif(call -> 'counts', 'null'), updated_at = now()
  where call_id = this_call and status = 'active';
  if not found then
    return false;
  end if;

  delete from public.call_turns
  where call_id = this_call
    and position not in (select (turn ->> 'position')::integer from jsonb_array_elements(call -> 'turns') as turn);
  perform public.write_call_turns(this_call, call -> 'turns');

  insert into public.call_failures (call_id, position, at, code, provider, message)
  select this_call, failure.position, failure.at, failure.code, failure.provider, failure.message
  from jsonb_to_recordset(call -> 'failures') as failure(
    position integer, at timestamptz, code text, provider text, message text
  );

  update public.call_logs
  set transcript = (
    select coalesce(
      jsonb_agg(
        jsonb_build_object(
          'position', position, 'role', role, 'text', text, 'startMs', start_ms, 'endMs', end_ms,
          'interrupted', interrupted, 'latency', latency
        )
        order by position
      ),
      '[]'
    )
    from public.call_turns where call_id = this_call
  )
  where call_id = this_call;
  return true;
end
$$;
