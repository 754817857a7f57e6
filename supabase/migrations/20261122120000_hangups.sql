-- How a call ended on the telephone network, as its FreeSWITCH node tells it (POST /api/v1/nodes/hangups).

alter table public.call_logs
  add column hangup jsonb
    constraint call_logs_hangup_is_object check (jsonb_typeof(hangup) = 'object');

comment on column public.call_logs.hangup is
  '{cause, q850, by, seconds}: FreeSWITCH''s name of the cause, its number in Q.850, who hung up (recv_bye: the caller), seconds since the answer. Null: no node told.';
