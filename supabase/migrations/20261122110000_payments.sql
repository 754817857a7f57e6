-- Money: an amount is set aside when a call begins and settled when it has ended, by the second, exactly once a call.
--
--   reserve_call   reserved += the price of as many seconds as the balance has, up to the longest call
--   settle_call    reserved -= what was set aside; balance -= the price of the seconds that it took
--   release_call   reserved -= what was set aside: no call came of it, or its end was never told
--   top_up_user    balance  += what was paid in
--
-- Every function takes the user's row first (for update), so that one account's money moves in one order, whoever moves
-- it; two calls that begin at once are one after the other here. Each is idempotent: a repeat finds its row in
-- payment_transactions and changes nothing. They may come in any order: a call that was settled or released is never
-- reserved again, and one that was released because its end did not come is charged all the same when it does.
--
-- A call is named by its user, its id and its start: an id may be used again, after CALL_ID_HOLD, and what is done in one
-- user's name touches no other's account.

create table public.payment_transactions (
  id bigint generated always as identity primary key,
  user_id text not null references public.users,
  kind text not null
    constraint payment_transactions_kind_known check (kind in ('top_up', 'reserve', 'settle', 'release')),
  call_id text
    constraint payment_transactions_call_id_length check (char_length(call_id) between 1 and 128),
  call_start timestamptz,
  reference text
    constraint payment_transactions_reference_length check (char_length(reference) between 1 and 200),
  balance_change numeric(12, 4) not null,
  reserved_change numeric(12, 4) not null,
  seconds integer
    constraint payment_transactions_seconds_in_range check (seconds between 0 and 86400),
  price_per_second numeric(12, 8),
  uncollected numeric(12, 4) not null default 0
    constraint payment_transactions_uncollected_not_negative check (uncollected >= 0),
  created_at timestamptz not null default now(),
  constraint payment_transactions_of_a_call_or_a_payment check (
    case when kind = 'top_up'
      then reference is not null and call_id is null and call_start is null
      else reference is null and call_id is not null and call_start is not null
    end
  ),
  constraint payment_transactions_direction check (
    case kind
      when 'top_up' then balance_change > 0 and reserved_change = 0
      when 'reserve' then balance_change = 0 and reserved_change >= 0
      when 'settle' then balance_change <= 0 and reserved_change <= 0
      when 'release' then balance_change = 0 and reserved_change <= 0
    end
  ),
  constraint payment_transactions_once_a_call unique (user_id, call_id, call_start, kind),
  constraint payment_transactions_once_a_payment unique (reference)
);

comment on table public.payment_transactions is 'Every movement of money, append-only.';
comment on column public.payment_transactions.call_id is
  'start_call.callId. Where another call had that id before, the row in call_logs is {callId}.{start in ms}, of the same start_time.';
comment on column public.payment_transactions.reference is 'Of a top-up: the payment''s own id, by which a repeat is known.';
comment on column public.payment_transactions.balance_change is 'Summed over a user: users.balance.';
comment on column public.payment_transactions.reserved_change is 'Summed over a user: users.reserved.';
comment on column public.payment_transactions.seconds is 'Seconds that were set aside, or that the call took, each one begun.';
comment on column public.payment_transactions.uncollected is
  'Of a settlement: what the call cost beyond what the account had. Only of calls that were taken without a reservation.';

create index payment_transactions_by_user on public.payment_transactions (user_id, id desc);

-- What is set aside at the moment: a row a call in progress.
create table public.call_reservations (
  user_id text not null references public.users,
  call_id text not null,
  call_start timestamptz not null,
  amount numeric(12, 4) not null
    constraint call_reservations_amount_not_negative check (amount >= 0),
  seconds integer not null,
  price_per_second numeric(12, 8) not null,
  expires_at timestamptz not null,
  primary key (user_id, call_id, call_start)
);

comment on table public.call_reservations is 'What is set aside for calls in progress.';
comment on column public.call_reservations.expires_at is
  'The call is over by then, and its end was told if it ever is: from then on the amount is given back.';

create index call_reservations_by_expiry on public.call_reservations (expires_at);

alter table public.payment_transactions enable row level security;
alter table public.call_reservations enable row level security;
revoke all on table public.payment_transactions, public.call_reservations
  from public, anon, authenticated, service_role;
grant select on table public.payment_transactions to authenticated, service_role;
grant select on table public.call_reservations to service_role;
create policy payment_transactions_own on public.payment_transactions for select to authenticated
  using (user_id = (select id from public.users where auth_id = (select auth.uid())));

-- Not even the owner, by accident.
create function public.refuse_change() returns trigger
language plpgsql security invoker set search_path = ''
as $$
begin
  raise restrict_violation using message = format('%s is append-only', tg_table_name);
end
$$;
revoke execute on function public.refuse_change() from public, anon, authenticated, service_role;
create trigger payment_transactions_append_only before update or delete or truncate on public.payment_transactions
  for each statement execute function public.refuse_change();

-- Gives back what is set aside for a call. For the functions below, which hold the user's row.
create function public.unreserve(of_user text, of_call text, started timestamptz) returns numeric
language plpgsql security definer set search_path = ''
as $$
declare
  freed numeric;
begin
  delete from public.call_reservations
  where user_id = of_user and call_id = of_call and call_start = started
  returning amount into freed;
  if not found then
    return 0;
  end if;
  update public.users set reserved = reserved - freed where id = of_user;
  return freed;
end
$$;

-- Gives back what calls set aside whose end never came, of one user. For the functions below, which hold the user's row.
create function public.release_expired(of_user text) returns integer
language plpgsql security definer set search_path = ''
as $$
declare
  lost record;
  released integer := 0;
begin
  for lost in
    select call_id, call_start from public.call_reservations where user_id = of_user and expires_at <= now()
  loop
    insert into public.payment_transactions (user_id, kind, call_id, call_start, balance_change, reserved_change)
    values (
      of_user, 'release', lost.call_id, lost.call_start, 0,
      -public.unreserve(of_user, lost.call_id, lost.call_start)
    );
    released := released + 1;
  end loop;
  return released;
end
$$;

-- Sets money aside for a call that is about to begin.
-- call: {callId, userId, startTime, leastSeconds, mostSeconds, pricePerSecond}. The price is the service's own, used where
-- the account has none. Answers {outcome, seconds}; outcome:
--   reserved            for `seconds`, which is mostSeconds or what the account can pay for
--   insufficient funds  not even leastSeconds
--   blocked, no account
--   over                the call was settled or released already
create function public.reserve_call(call jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  this_call constant text := call ->> 'callId';
  started constant timestamptz := (call ->> 'startTime')::timestamptz;
  most constant integer := least((call ->> 'mostSeconds')::integer, 86400);
  payer public.users;
  price numeric(12, 8);
  affordable integer;
  cost numeric(12, 4);
begin
  select * into payer from public.users where id = call ->> 'userId' for update;
  if not found then
    return jsonb_build_object('outcome', 'no account');
  end if;

  select seconds into affordable from public.call_reservations
  where user_id = payer.id and call_id = this_call and call_start = started;
  if found then
    return jsonb_build_object('outcome', 'reserved', 'seconds', affordable);
  end if;
  if exists (
    select from public.payment_transactions
    where user_id = payer.id and call_id = this_call and call_start = started and kind in ('settle', 'release')
  ) then
    return jsonb_build_object('outcome', 'over');
  end if;
  if payer.blocked_at <= now() then
    return jsonb_build_object('outcome', 'blocked');
  end if;

  -- So a lost reservation never stands in anybody's way, also where nobody runs release_lost_reservations.
  if public.release_expired(payer.id) > 0 then
    select * into payer from public.users where id = payer.id;
  end if;

  price := coalesce(payer.price_per_second, (call ->> 'pricePerSecond')::numeric);
  affordable := case when price = 0 then most
    else least(most, trunc((payer.balance - payer.reserved) / price)) end;
  if affordable < least((call ->> 'leastSeconds')::integer, most) then
    return jsonb_build_object('outcome', 'insufficient funds');
  end if;

  -- The balance is a multiple of 0.0001, so that what is affordable is so after rounding as well.
  cost := affordable * price;
  update public.users set reserved = reserved + cost where id = payer.id;
  insert into public.call_reservations (user_id, call_id, call_start, amount, seconds, price_per_second, expires_at)
  -- A day is for the end's way here: an outbox that is refused repeats it every hour.
  values (payer.id, this_call, started, cost, affordable, price, now() + make_interval(secs => most) + interval '1 day');
  insert into public.payment_transactions
    (user_id, kind, call_id, call_start, balance_change, reserved_change, seconds, price_per_second)
  values (payer.id, 'reserve', this_call, started, 0, cost, affordable, price);
  return jsonb_build_object('outcome', 'reserved', 'seconds', affordable);
end
$$;

-- Charges a call that has ended. call: {callId, userId, startTime, seconds, pricePerSecond}; the price is the one at which
-- it was reserved; of a call without a reservation the account's, or the service's own. Such a call is charged at most
-- what the account has that is not set aside for others; the rest is `uncollected`.
-- Answers {outcome, charged, uncollected}; outcome: charged, repeated, no account.
create function public.settle_call(call jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  this_call constant text := call ->> 'callId';
  started constant timestamptz := (call ->> 'startTime')::timestamptz;
  taken constant integer := least((call ->> 'seconds')::integer, 86400);
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

-- Gives back what was set aside for a call that did not begin. call: {callId, userId, startTime}. A reservation that is
-- still on its way finds the call over. False: there was nothing to do.
create function public.release_call(call jsonb) returns boolean
language plpgsql security definer set search_path = ''
as $$
declare
  this_call constant text := call ->> 'callId';
  started constant timestamptz := (call ->> 'startTime')::timestamptz;
  payer constant text := call ->> 'userId';
begin
  perform from public.users where id = payer for update;
  if not found or exists (
    select from public.payment_transactions
    where user_id = payer and call_id = this_call and call_start = started and kind in ('settle', 'release')
  ) then
    return false;
  end if;
  insert into public.payment_transactions (user_id, kind, call_id, call_start, balance_change, reserved_change)
  values (payer, 'release', this_call, started, 0, -public.unreserve(payer, this_call, started));
  return true;
end
$$;

-- Pays in. `payment` is the payment's own id: the same again changes nothing and answers false; with another user or
-- amount it fails with 23505.
create function public.top_up_user(of_user text, amount numeric, payment text) returns boolean
language plpgsql security definer set search_path = ''
as $$
declare
  paid constant numeric(12, 4) := amount;
  earlier public.payment_transactions;
begin
  perform from public.users where id = of_user for update;
  if not found then
    raise foreign_key_violation using message = format('there is no user "%s"', of_user);
  end if;
  select * into earlier from public.payment_transactions where reference = payment;
  if found then
    if earlier.user_id <> of_user or earlier.balance_change <> paid then
      raise unique_violation using message = format('the payment "%s" is another one', payment);
    end if;
    return false;
  end if;
  update public.users set balance = balance + paid where id = of_user;
  insert into public.payment_transactions (user_id, kind, reference, balance_change, reserved_change)
  values (of_user, 'top_up', payment, paid, 0);
  return true;
end
$$;

-- Gives back what calls set aside whose end never came, of all users, at most so many users at a time. Answers how many reservations.
-- reserve_call does the same for its user: this is for the accounts that do not call any more. For a schedule, e.g.
-- pg_cron's; any number of it may run at once.
create function public.release_lost_reservations(most_users integer default 1000) returns integer
language plpgsql security definer set search_path = ''
as $$
declare
  payer text;
  released integer := 0;
begin
  for payer in
    select id from public.users
    where id in (select user_id from public.call_reservations where expires_at <= now())
    order by id limit most_users
    for update skip locked
  loop
    released := released + public.release_expired(payer);
  end loop;
  return released;
end
$$;

revoke execute on function
  public.unreserve(text, text, timestamptz), public.release_expired(text)
  from public, anon, authenticated, service_role;
revoke execute on function
  public.reserve_call(jsonb), public.settle_call(jsonb), public.release_call(jsonb),
  public.top_up_user(text, numeric, text), public.release_lost_reservations(integer)
  from public, anon, authenticated;
grant execute on function
  public.reserve_call(jsonb), public.settle_call(jsonb), public.release_call(jsonb),
  public.top_up_user(text, numeric, text), public.release_lost_reservations(integer)
  to service_role;
