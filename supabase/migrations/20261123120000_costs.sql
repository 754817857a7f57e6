-- What each call cost with its vendors, turn by turn, and the sums by user, campaign and day.
--
-- In US dollars, to the millionth. A price that is not known is no zero: `cost` is the known part, `cost_unpriced` names the providers
-- that it leaves out.

alter table public.call_logs
  add column cost numeric(14, 6)
    constraint call_logs_cost_is_an_amount check (cost >= 0 and cost <> 'NaN'),
  add column cost_unpriced text[]
    constraint call_logs_cost_unpriced_bounded check (cardinality(cost_unpriced) <= 200),
  add column cost_by_provider jsonb
    constraint call_logs_cost_by_provider_is_array check (jsonb_typeof(cost_by_provider) = 'array'),
  add column usage_by_turn jsonb
    constraint call_logs_usage_by_turn_is_array check (jsonb_typeof(usage_by_turn) = 'array'),
  add constraint call_logs_cost_complete check (
    (cost_unpriced is null) = (cost_by_provider is null) and (cost_unpriced is null) = (usage_by_turn is null)
    and (cost_unpriced is not null or cost is null)
  );

comment on column public.call_logs.cost is
  'US dollars charged by vendors, as far as there are prices; null: not priced yet, or nothing of it has a price (see cost_unpriced).';
comment on column public.call_logs.cost_unpriced is
  'Providers that were used and have no price, so that the call cost more than `cost`; empty: `cost` is all; null: not priced yet.';
comment on column public.call_logs.cost_by_provider is '[{provider, cost}], US dollars; cost null: there is no price.';
comment on column public.call_logs.usage_by_turn is
  'In order: [{turn, provider, …units as in usage, cost}]; turn null: the call as a whole. estimated: the vendor told nothing.';
comment on column public.call_logs.usage is
  'Summed per provider and model: [{provider, audioSeconds?, inputTokens?, cachedInputTokens?, cacheWriteTokens?, audioInputTokens?, cachedAudioInputTokens?, outputTokens?, audioOutputTokens?, characters?, estimated?}]. src/providers/ports.ts says what counts among what.';

-- cost: {cost, unpriced, providers: [{provider, cost}], turns: [{turn, provider, …, cost}]}. The first stands; a repeat changes nothing.
-- Of a call whose end has not arrived yet it fails with 23503, and the sender repeats it after `call_ended`.
create function public.call_costed(of_call text, cost jsonb) returns boolean
language plpgsql security invoker set search_path = ''
as $$
declare
  state record;
begin
  select status, cost_unpriced is not null as costed into state
  from public.call_logs where call_id = of_call for update;
  if not found or state.status = 'active' then
    raise foreign_key_violation using message = format('call "%s" has not ended', of_call);
  end if;
  if state.costed then
    return false;
  end if;
  update public.call_logs
  set cost = (call_costed.cost ->> 'cost')::numeric,
    cost_unpriced = array(select jsonb_array_elements_text(call_costed.cost -> 'unpriced')),
    cost_by_provider = call_costed.cost -> 'providers',
    usage_by_turn = call_costed.cost -> 'turns',
    updated_at = now()
  where call_id = of_call;
  return true;
end
$$;

revoke execute on function public.call_costed(text, jsonb) from public, anon, authenticated;
grant execute on function public.call_costed(text, jsonb) to service_role;

-- Sums. With security_invoker they are made of the rows that whoever asks may read: a person's own, all for the service. Days are UTC.
create view public.usage_by_day with (security_invoker = true) as
select
  user_id, campaign_id, (start_time at time zone 'UTC')::date as day,
  count(*) as calls,
  count(*) filter (where cardinality(cost_unpriced) > 0) as calls_partly_unpriced,
  count(*) filter (where cost_unpriced is null) as calls_not_priced_yet,
  coalesce(sum(duration_seconds), 0) as seconds,
  sum(cost) as cost
from public.call_logs
group by user_id, campaign_id, (start_time at time zone 'UTC')::date;

comment on view public.usage_by_day is
  'Calls, their seconds and what they cost, by user, campaign and day (UTC). cost null: of none of them is it known.';

create view public.usage_by_day_and_provider with (security_invoker = true) as
select
  call.user_id, call.campaign_id, (call.start_time at time zone 'UTC')::date as day, part.provider,
  count(distinct call.call_id) as calls,
  count(distinct call.call_id) filter (where part.cost is null) as calls_unpriced,
  sum(part."audioSeconds") as audio_seconds,
  sum(part."inputTokens") as input_tokens,
  sum(part."cachedInputTokens") as cached_input_tokens,
  sum(part."outputTokens") as output_tokens,
  sum(part.characters) as characters,
  sum(part.cost) as cost
from public.call_logs as call
cross join lateral jsonb_to_recordset(call.usage_by_turn) as part(
  provider text, "audioSeconds" numeric, "inputTokens" numeric, "cachedInputTokens" numeric, "outputTokens" numeric,
  characters numeric, cost numeric
)
group by call.user_id, call.campaign_id, (call.start_time at time zone 'UTC')::date, part.provider;

comment on view public.usage_by_day_and_provider is
  'What was used of each provider and what that cost, by user, campaign and day (UTC).';

revoke all on table public.usage_by_day, public.usage_by_day_and_provider from public, anon, authenticated, service_role;
grant select on table public.usage_by_day, public.usage_by_day_and_provider to authenticated, service_role;
