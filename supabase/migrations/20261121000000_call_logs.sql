-- The log of every call: one row a call, its turns as they are spoken, its failures.
--
-- Written by the service alone, through the three functions at the end. Each of them is idempotent and one
-- transaction, because the outbox of a call repeats a delivery until it has succeeded, and deliveries may
-- arrive late or out of order. Each answers true where it changed something and false where there was nothing
-- left to do.
--
-- Bounds in CHECK constraints are those of src/records/bounds.ts, where the service cuts before it sends.

create table public.call_logs (
  call_id text primary key
    constraint call_logs_call_id_form check (call_id ~ '^[A-Za-z0-9._-]{1,128}$' and call_id !~ '^[.]+$'),
  user_id text not null
    constraint call_logs_user_id_length check (char_length(user_id) between 1 and 128),
  campaign_id text
    constraint call_logs_campaign_id_length check (char_length(campaign_id) between 1 and 128),
  phone_number text
    constraint call_logs_phone_number_length check (char_length(phone_number) between 1 and 64),
  status text not null default 'active'
    constraint call_logs_status_known check (status in ('active', 'ended', 'failed')),
  end_reason text
    constraint call_logs_end_reason_length check (char_length(end_reason) between 1 and 128),
  start_time timestamptz not null,
  end_time timestamptz,
  duration_seconds numeric generated always as (round(extract(epoch from (end_time - start_time)), 3)) stored,
  recording text
    constraint call_logs_recording_length check (char_length(recording) between 1 and 512),
  transcript jsonb not null default '[]'
    constraint call_logs_transcript_is_array check (jsonb_typeof(transcript) = 'array'),
  metadata jsonb not null default '{}'
    constraint call_logs_metadata_is_object check (jsonb_typeof(metadata) = 'object'),
  usage jsonb not null default '[]'
    constraint call_logs_usage_is_array check (jsonb_typeof(usage) = 'array'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint call_logs_end_after_start check (end_time >= start_time),
  constraint call_logs_end_complete check (
    case when status = 'active'
      then end_time is null and end_reason is null
      else end_time is not null and end_reason is not null
    end
  )
);

comment on table public.call_logs is 'One row a call, written when it starts and completed when it ends.';
comment on column public.call_logs.recording is 'Object key in the recordings bucket; null where there is none.';
comment on column public.call_logs.transcript is
  'The complete transcript, set when the call ends: [{position, role, text, startMs, endMs, interrupted, latency}].';
comment on column public.call_logs.metadata is 'start_call.metadata as the client sent it.';
comment on column public.call_logs.usage is
  'Summed per provider and model: [{provider, audioSeconds?, inputTokens?, outputTokens?, characters?}].';

create index call_logs_by_user on public.call_logs (user_id, start_time desc);
create index call_logs_by_campaign on public.call_logs (campaign_id, start_time desc) where campaign_id is not null;
create index call_logs_by_start on public.call_logs (start_time desc);
create index call_logs_active on public.call_logs (start_time) where status = 'active';

create table public.call_turns (
  call_id text not null references public.call_logs on delete cascade,
  position integer not null
    constraint call_turns_position_not_negative check (position >= 0),
  role text not null
    constraint call_turns_role_known check (role in ('caller', 'agent')),
  text text not null
    constraint call_turns_text_length check (char_length(text) <= 8000),
  start_ms integer not null
    constraint call_turns_start_not_negative check (start_ms >= 0),
  end_ms integer not null,
  interrupted boolean not null default false,
  latency jsonb
    constraint call_turns_latency_is_object check (jsonb_typeof(latency) = 'object'),
  created_at timestamptz not null default now(),
  primary key (call_id, position),
  constraint call_turns_end_after_start check (end_ms >= start_ms)
);

comment on table public.call_turns is 'What was said, turn by turn, written while the call lasts.';
comment on column public.call_turns.start_ms is 'Milliseconds from the start of the call, and so of its recording.';
comment on column public.call_turns.latency is
  'Of an agent''s turn that answers the caller: {endpointWaitMs, processingMs, providerMs, totalMs}.';

create table public.call_failures (
  call_id text not null references public.call_logs on delete cascade,
  position integer not null
    constraint call_failures_position_not_negative check (position >= 0),
  at timestamptz not null,
  code text not null
    constraint call_failures_code_length check (char_length(code) between 1 and 64),
  provider text
    constraint call_failures_provider_length check (char_length(provider) between 1 and 128),
  message text not null
    constraint call_failures_message_length check (char_length(message) <= 2000),
  primary key (call_id, position)
);

comment on table public.call_failures is 'Failures during a call, e.g. of a provider.';

create index call_failures_by_time on public.call_failures (at desc);

-- Nobody but the service reads or writes. Two locks, since either alone is one later mistake from open: no
-- privileges for the roles that browsers hold, and row-level security without a policy.
alter table public.call_logs enable row level security;
alter table public.call_turns enable row level security;
alter table public.call_failures enable row level security;

revoke all on table public.call_logs, public.call_turns, public.call_failures from public, anon, authenticated;
grant select, insert, update, delete on table public.call_logs, public.call_turns, public.call_failures
  to service_role;

-- call: {callId, userId, campaignId, phoneNumber, startTime, metadata}, times in ISO 8601. An id that names a call with
-- another start is that call's: it fails with 23505, and the sender takes another id.
create function public.call_started(call jsonb) returns boolean
language plpgsql security invoker set search_path = ''
as $$
begin
  if exists (
    select from public.call_logs
    where call_id = call ->> 'callId' and start_time <> (call ->> 'startTime')::timestamptz
  ) then
    raise unique_violation using message = format('the id "%s" is another call''s', call ->> 'callId');
  end if;
  insert into public.call_logs (call_id, user_id, campaign_id, phone_number, start_time, metadata)
  values (
    call ->> 'callId', call ->> 'userId', call ->> 'campaignId', call ->> 'phoneNumber',
    (call ->> 'startTime')::timestamptz, coalesce(call -> 'metadata', '{}')
  )
  on conflict (call_id) do nothing;
  return found;
end
$$;

-- Writes turns without looking at the call; for the two functions below, which hold the call's row.
-- turns: [{position, role, text, startMs, endMs, interrupted, latency}]. Answers how many rows it changed.
create function public.write_call_turns(of_call text, turns jsonb) returns integer
language plpgsql security invoker set search_path = ''
as $$
declare
  changed integer;
begin
  insert into public.call_turns as old (call_id, position, role, text, start_ms, end_ms, interrupted, latency)
  select of_call, turn.position, turn.role, turn.text, turn."startMs", turn."endMs",
    coalesce(turn.interrupted, false), nullif(turn.latency, 'null')
  from jsonb_to_recordset(turns) as turn(
    position integer, role text, text text, "startMs" integer, "endMs" integer, interrupted boolean, latency jsonb
  )
  on conflict (call_id, position) do update
    set role = excluded.role, text = excluded.text, start_ms = excluded.start_ms, end_ms = excluded.end_ms,
      interrupted = excluded.interrupted, latency = excluded.latency
    where (old.role, old.text, old.start_ms, old.end_ms, old.interrupted, old.latency)
      is distinct from (excluded.role, excluded.text, excluded.start_ms, excluded.end_ms, excluded.interrupted,
        excluded.latency);
  get diagnostics changed = row_count;
  return changed;
end
$$;

-- Adds turns to a call in progress. Of a call that has ended it changes nothing: the end brought every turn.
-- Of a call that is not there yet it fails with 23503, and the sender repeats it after `call_started`.
create function public.call_conversation(of_call text, turns jsonb) returns boolean
language plpgsql security invoker set search_path = ''
as $$
declare
  current_status text;
begin
  select status into current_status from public.call_logs where call_id = of_call for update;
  if not found then
    raise foreign_key_violation using message = format('call "%s" has not started', of_call);
  end if;
  if current_status <> 'active' or public.write_call_turns(of_call, turns) = 0 then
    return false;
  end if;
  update public.call_logs set updated_at = now() where call_id = of_call;
  return true;
end
$$;

-- call: as for call_started, and {status, endReason, endTime, recording, turns, failures, usage};
-- failures: [{position, at, code, provider, message}]. The first end stands; a repeat changes nothing.
create function public.call_ended(call jsonb) returns boolean
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
    recording = call ->> 'recording', usage = coalesce(call -> 'usage', '[]'), updated_at = now()
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

-- Postgres lets PUBLIC execute a new function, and a Supabase project grants it to the roles of browsers by name.
revoke execute on function
  public.call_started(jsonb), public.write_call_turns(text, jsonb), public.call_conversation(text, jsonb),
  public.call_ended(jsonb)
  from public, anon, authenticated;
grant execute on function
  public.call_started(jsonb), public.write_call_turns(text, jsonb), public.call_conversation(text, jsonb),
  public.call_ended(jsonb)
  to service_role;
