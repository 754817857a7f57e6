-- Attempts to connect the caller to somebody else. A function of its own, so that `call_ended` stays what it is: whoever writes an end
-- writes these after it, and both are repeated until they have arrived.

alter table public.call_logs
  add column transfers jsonb not null default '[]'
    constraint call_logs_transfers_is_array check (jsonb_typeof(transfers) = 'array');

comment on column public.call_logs.transfers is
  '[{to, at, ringingAt, endedAt, outcome, cause, sipStatus}] in order; outcome: answered, busy, no answer, declined, unreachable, failed, abandoned or unknown; to: by STORED_PHONE_NUMBERS.';

-- Of a call that has ended; what was written first stands. False: there was nothing left to do.
create function public.call_transfers(of_call text, attempts jsonb) returns boolean
language plpgsql security invoker set search_path = ''
as $$
begin
  update public.call_logs as log
  set transfers = attempts, updated_at = now()
  where log.call_id = of_call and log.transfers = '[]';
  return found;
end
$$;

revoke all on function public.call_transfers(text, jsonb) from public, anon, authenticated;
grant execute on function public.call_transfers(text, jsonb) to service_role;
