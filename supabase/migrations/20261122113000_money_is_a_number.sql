-- Money is a number. To Postgres NaN is a numeric greater than all others (https://www.postgresql.org/docs/current/datatype-numeric.html):
-- it passed every check above, and an account that had it would have paid for everything. And least() leaves out what is null: a call
-- whose seconds were missing was charged for a day.

alter table public.users
  add constraint users_balance_is_a_number check (balance <> 'NaN');

-- As users.price_per_second.
alter table public.payment_transactions
  add constraint payment_transactions_price_in_range check (price_per_second between 0 and 1000);

-- As before, but for `taken`.
create or replace function public.settle_call(call jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  this_call constant text := call ->> 'callId';
  started constant timestamptz := (call ->> 'startTime')::timestamptz;
  taken constant integer not null :=
    case when (call ->> 'seconds')::integer > 86400 then 86400 else (call ->> 'seconds')::integer end;
  payer public.users;
  price numeric(12, 8);
  freed numeric;
  cost numeric(12, 4);
  charged numeric(12, 4);
begin
  select * into payer from public.users where id = call ->> 'userId' for update;
  if not found then
    return jsonb_build_object('outcome', 'no account');
  end if;
  if exists (
    select from public.payment_transactions
    where user_id = payer.id and call_id = this_call and call_start = started and kind = 'settle'
  ) then
    return jsonb_build_object('outcome', 'repeated');
  end if;

  select price_per_second into price from public.payment_transactions
  where user_id = payer.id and call_id = this_call and call_start = started and kind = 'reserve';
  price := coalesce(price, payer.price_per_second, (call ->> 'pricePerSecond')::numeric);
  cost := taken * price;
  freed := public.unreserve(payer.id, this_call, started);
  charged := least(cost, payer.balance - payer.reserved + freed);
  update public.users set balance = balance - charged where id = payer.id;
  insert into public.payment_transactions
    (user_id, kind, call_id, call_start, balance_change, reserved_change, seconds, price_per_second, uncollected)
  values (payer.id, 'settle', this_call, started, -charged, -freed, taken, price, cost - charged);
  return jsonb_build_object('outcome', 'charged', 'charged', charged, 'uncollected', cost - charged);
end
$$;
