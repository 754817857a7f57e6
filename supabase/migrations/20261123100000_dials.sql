-- Calls that the service places itself: how each was dialled, and what came of it, also where nobody answered.

alter table public.call_logs
  add column dial jsonb
    constraint call_logs_dial_is_object check (jsonb_typeof(dial) = 'object');

comment on column public.call_logs.dial is
  'Of a call that we placed: {state, reason, queuedMs, ringMs, node, trunk, callerId, cause, sipStatus, q850}; queuedMs: from the request to the dialling, ringMs: from the first ringing to the end of it. Null: a call that came in.';

comment on column public.campaigns.agent is
  'What its agent has otherwise than the default one: {prompt, greeting, voice, language, recording, recordingNotice, redaction, machineDetection}, all optional.';

-- Whether somebody may have calls placed. Answers {account, blocked, seconds, campaign: {owner, status}}: seconds that the account can pay for at the
-- service's price, where it has none of its own; null where that is 0; campaign is null where there is none of that id.
create function public.may_dial(of_user text, of_campaign text, price_per_second numeric) returns jsonb
language sql stable security invoker set search_path = ''
as $$
  select jsonb_build_object(
    'account', account.id is not null,
    'blocked', account.blocked_at is not null,
    'seconds', trunc((account.balance - account.reserved) / nullif(coalesce(account.price_per_second, may_dial.price_per_second), 0)),
    'campaign', (
      select jsonb_build_object('owner', campaign.user_id, 'status', campaign.status)
      from public.campaigns as campaign where campaign.id = of_campaign
    )
  )
  from (select of_user as id) as asked
  left join public.users as account on account.id = asked.id
$$;

-- dials: [{callId, userId, campaignId, phoneNumber, startTime, endTime, metadata, status, endReason, dial}]. A dial without a status was answered: its row is
-- the call's own, written by `call_started`. Answers the ids of those whose row is not there yet: the sender repeats them. A call that nobody answered
-- has its row from here. What stands in a row stays: a repeat changes nothing.
create function public.dials_ended(dials jsonb) returns jsonb
language plpgsql security invoker set search_path = ''
as $$
begin
  insert into public.call_logs
    (call_id, user_id, campaign_id, phone_number, status, end_reason, start_time, end_time, metadata, dial)
  select entry ->> 'callId', entry ->> 'userId', entry ->> 'campaignId', entry ->> 'phoneNumber', entry ->> 'status', entry ->> 'endReason',
    (entry ->> 'startTime')::timestamptz, greatest((entry ->> 'endTime')::timestamptz, (entry ->> 'startTime')::timestamptz),
    coalesce(entry -> 'metadata', '{}'), entry -> 'dial'
  from jsonb_array_elements(dials) as entry
  where entry ->> 'status' is not null
  on conflict (call_id) do nothing;

  update public.call_logs as call
  set dial = entry -> 'dial', updated_at = now()
  from jsonb_array_elements(dials) as entry
  where call.call_id = entry ->> 'callId' and call.user_id = entry ->> 'userId' and call.dial is null;

  return (
    select coalesce(jsonb_agg(entry -> 'callId'), '[]')
    from jsonb_array_elements(dials) as entry
    where not exists (select from public.call_logs where call_id = entry ->> 'callId')
  );
end
$$;

revoke execute on function public.may_dial(text, text, numeric), public.dials_ended(jsonb) from public, anon, authenticated;
grant execute on function public.may_dial(text, text, numeric), public.dials_ended(jsonb) to service_role;
