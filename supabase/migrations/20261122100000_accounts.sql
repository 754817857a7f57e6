-- Accounts and campaigns, and who may read what. A row belongs to one user; a person who is logged in (Supabase Auth) reads the
-- rows of the user whose `auth_id` is theirs. The service, with its secret key, writes; nobody else does.
--
-- Bounds in CHECK constraints are those of src/records/bounds.ts and, for an agent's settings, of src/config.ts.

create table public.users (
  id text primary key
    constraint users_id_length check (char_length(id) between 1 and 128),
  -- No foreign key to auth.users: a user may come before the login does, and an account outlives it, with its payments.
  auth_id uuid unique,
  balance numeric(12, 4) not null default 0,
  reserved numeric(12, 4) not null default 0,
  price_per_second numeric(12, 8)
    constraint users_price_in_range check (price_per_second between 0 and 1000),
  max_concurrent_calls integer not null default 50
    constraint users_max_concurrent_calls_in_range check (max_concurrent_calls between 0 and 100000),
  blocked_at timestamptz,
  tokens_valid_from timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- What no race and no later mistake may bring about.
  constraint users_not_overdrawn check (reserved between 0 and balance)
);

comment on table public.users is 'Accounts: who calls, and who pays. One currency, which the operator knows.';
comment on column public.users.id is 'The userId of start_call.';
comment on column public.users.auth_id is 'The Supabase Auth user who reads this account''s rows; null: nobody.';
comment on column public.users.balance is
  'What was paid in, less what was charged; `reserved` is a part of it. The sum of payment_transactions.balance_change.';
comment on column public.users.reserved is
  'Set aside for calls in progress: the sum of call_reservations.amount, and of payment_transactions.reserved_change.';
comment on column public.users.price_per_second is 'Null: the service''s own, PRICE_PER_SECOND.';
comment on column public.users.max_concurrent_calls is 'Calls at once.';
comment on column public.users.blocked_at is 'From then on no call of this user''s is taken; null: not blocked.';
comment on column public.users.tokens_valid_from is 'Tokens that were issued earlier are revoked; null: none is.';

create table public.campaigns (
  id text primary key
    constraint campaigns_id_length check (char_length(id) between 1 and 128),
  user_id text not null references public.users,
  name text not null
    constraint campaigns_name_length check (char_length(name) between 1 and 200),
  status text not null default 'active'
    constraint campaigns_status_known check (status in ('active', 'paused', 'ended')),
  agent jsonb not null default '{}'
    constraint campaigns_agent_is_object check (jsonb_typeof(agent) = 'object')
    -- As text; the Worker takes a prompt of 20,000 characters and two lines of 2,000.
    constraint campaigns_agent_length check (char_length(agent::text) <= 64000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table public.campaigns is 'Campaigns: on whose behalf a call is made or taken, and with which agent.';
comment on column public.campaigns.id is 'metadata.campaignId of start_call.';
comment on column public.campaigns.status is
  'Whether it dials. A call that comes in is answered by its agent in any case.';
comment on column public.campaigns.agent is
  'What its agent has otherwise than the default one: {prompt, greeting, voice, language, recording, recordingNotice}, all optional.';

create index campaigns_by_user on public.campaigns (user_id, created_at desc);

create function public.set_updated_at() returns trigger
language plpgsql security invoker set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end
$$;
revoke execute on function public.set_updated_at() from public, anon, authenticated;

create trigger users_updated before update on public.users
  for each row execute function public.set_updated_at();
create trigger campaigns_updated before update on public.campaigns
  for each row execute function public.set_updated_at();

-- Privileges first, row-level security on top of them. A hosted project grants everything on a new table to the roles
-- of browsers by name.
alter table public.users enable row level security;
alter table public.campaigns enable row level security;
revoke all on table public.users, public.campaigns from public, anon, authenticated, service_role;
grant select on table public.users, public.campaigns to authenticated, service_role;
grant insert, update, delete on table public.campaigns to service_role;
-- The service opens and changes accounts; money moves through the functions of the next migration alone.
grant insert (id, auth_id, price_per_second, max_concurrent_calls, blocked_at, tokens_valid_from)
  on table public.users to service_role;
grant update (auth_id, price_per_second, max_concurrent_calls, blocked_at, tokens_valid_from)
  on table public.users to service_role;
grant delete on table public.users to service_role;

-- (select …): evaluated once a statement and not once a row (https://supabase.github.io/splinter/0003_auth_rls_initplan).
create policy users_own on public.users for select to authenticated
  using (auth_id = (select auth.uid()));
create policy campaigns_own on public.campaigns for select to authenticated
  using (user_id = (select id from public.users where auth_id = (select auth.uid())));

-- The log, of its own calls. call_failures stays the operator's: it holds vendors' messages.
grant select on table public.call_logs, public.call_turns to authenticated;
create policy call_logs_own on public.call_logs for select to authenticated
  using (user_id = (select id from public.users where auth_id = (select auth.uid())));
create policy call_turns_own on public.call_turns for select to authenticated
  using (
    exists (
      select from public.call_logs as call
      where call.call_id = call_turns.call_id
        and call.user_id = (select id from public.users where auth_id = (select auth.uid()))
    )
  );
