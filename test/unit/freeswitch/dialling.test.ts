import { describe, expect, it } from 'vitest';
import { FreeSwitchDouble, sentJson } from '../../support/freeswitch/node.ts';

const id = '0b6e1c9a-0000-4000-8000-000000000007';
const dial = {
  ...{ callId: id, claim: 'claim-1', userId: 'user-1', campaignId: 'spring', to: '+4930901820' },
  ...{ callerId: '+493012345', trunk: null as string | null, ringSeconds: 45 },
};

/** A node that is given this work at its first question, and none after. */
function working(work: { dials?: object[]; cancelled?: string[] }): FreeSwitchDouble {
  const node = new FreeSwitchDouble();
  node.body = JSON.stringify({ dials: [], cancelled: [], waitMs: 1000, ...work });
  node.statuses = [200, 204];
  node.start();
  return node;
}

const posts = (node: FreeSwitchDouble, path: string) =>
  node.commandsOf('curl').filter((command) => command.includes(`/api/v1/nodes/${path} `));
const told = (node: FreeSwitchDouble) => posts(node, 'dials/progress').map(sentJson);

describe('a node that asks for calls to place', () => {
  it('asks every second, with what it has room for, and shows its token to none but the service', () => {
    const node = new FreeSwitchDouble();
    node.body = '{"dials":[],"cancelled":[],"waitMs":1000}';
    node.statuses = [200];
    node.load.calls = 93;
    node.start();
    node.pass(3);
    expect(posts(node, 'work')).toHaveLength(4);
    expect(posts(node, 'work')[0]).toBe(
      'curl https://calls.example.com/api/v1/nodes/work json secure timeout 5 append_headers X-Node-Token:ach_node_secret' +
        ' content-type application/json post {"free":7}',
    );
    node.load.calls = 0;
    node.pass(1);
    expect(sentJson(posts(node, 'work').at(-1))).toEqual({ free: 20 });
  });

  it('wants none before its profile runs, and while it drains', () => {
    const node = new FreeSwitchDouble();
    node.body = '{"dials":[],"cancelled":[],"waitMs":1000}';
    node.statuses = [200];
    node.load.profile = false;
    node.start();
    node.load = { calls: 0, profile: true, draining: true };
    node.pass(1);
    expect(posts(node, 'work').map(sentJson)).toEqual([{ free: 0 }, { free: 0 }]);
  });

  it('asks less and less often while nobody answers, says so once, and takes up again', () => {
    const node = new FreeSwitchDouble();
    node.statuses = [503];
    node.start();
    const asked: number[] = [];
    for (let seconds = 1; seconds <= 150; seconds++) {
      const before = posts(node, 'work').length;
      node.pass(1);
      if (posts(node, 'work').length > before) asked.push(seconds);
    }
    const waits = asked.map((at, i) => at - (asked[i - 1] ?? 0));
    expect(Math.max(...waits)).toBeLessThanOrEqual(30);
    expect(waits.slice(5).every((wait) => wait >= 15)).toBe(true);
    expect(node.log).toEqual(['event=work.unanswered status=503']);
    node.body = '{"dials":[],"cancelled":[],"waitMs":10000}';
    node.statuses = [200];
    node.pass(60);
    expect(posts(node, 'work').length).toBeGreaterThan(asked.length + 3);
  });

  it('goes on asking where something fails in it', () => {
    const node = new FreeSwitchDouble();
    delete node.settings.max_calls;
    node.statuses = [200];
    node.start();
    expect(node.log[0]).toMatch(/^event=work\.failed why=/);
    node.settings.max_calls = '100';
    node.pass(30);
    expect(posts(node, 'work')).toHaveLength(1);
  });

  it('does not ask without a proxy, or where it is to place none', () => {
    for (const setting of ['proxy', 'max_dials']) {
      const node = new FreeSwitchDouble();
      node.settings[setting] = setting === 'proxy' ? '' : '0';
      node.start();
      node.pass(60);
      expect(node.commands).toEqual([]);
    }
  });

  it('hangs up what is given up', () => {
    const node = working({ cancelled: [id] });
    expect(node.killed).toBe('ORIGINATOR_CANCEL');
  });
});

describe('a call that a node places', () => {
  it('is begun first, and dialled once it may be: by the proxy, under its own id, with ringing and answer told', () => {
    const node = working({ dials: [dial] });
    node.pass(0);
    expect(posts(node, 'dials/begin').map(sentJson)).toEqual([{ callId: id, claim: 'claim-1' }]);
    const [originate, ...more] = node.commandsOf('originate');
    expect(more).toEqual([]);
    expect(originate).toMatch(/\}sofia\/calls\/\+4930901820@10\.0\.0\.10:5060 dialled XML calls$/);
    const variables = /\{(.*)\}/.exec(originate!)![1]!.split(',');
    expect(variables).toEqual(
      expect.arrayContaining([
        ...[`origination_uuid=${id}`, `agent_call_id=${id}`, `sip_h_X-Call-Id=${id}`, 'agent_dial=claim-1'],
        ...['origination_caller_id_number=+493012345', 'originate_timeout=45', 'ignore_early_media=true'],
        ...['agent_user=user-1', 'agent_campaign=spring', 'agent_to=+4930901820', 'agent_direction=outbound'],
      ]),
    );
    expect(originate).not.toContain('X-Trunk');
    for (const [event, state] of [
      ['ring', 'ringing'],
      ['pre_answer', 'ringing'],
      ['answer', 'answered'],
    ]) {
      expect(variables).toContain(
        `api_on_${event}='luarun ${node.settings.conf_dir}/scripts/progress.lua ${id} claim-1 ${state}'`,
      );
    }
  });

  it('goes by the trunk that is asked for, and to a SIP address by the proxy', () => {
    const node = working({ dials: [{ ...dial, trunk: 'carrier-a', to: 'sip:anna@192.0.2.20:5070' }] });
    node.pass(0);
    const [originate] = node.commandsOf('originate');
    expect(originate).toContain('sip_h_X-Trunk=carrier-a');
    expect(originate).toContain('}sofia/calls/sip:anna@192.0.2.20:5070;fs_path=sip:10.0.0.10:5060 dialled');
  });

  it('is not dialled where the service says no, or nothing', () => {
    for (const status of [409, 403, 503, 0]) {
      const node = working({ dials: [dial] });
      node.statuses = [status];
      node.pass(0);
      expect(posts(node, 'dials/begin')).toHaveLength(status === 503 || status === 0 ? 3 : 1);
      expect(node.commandsOf('originate')).toEqual([]);
      expect(node.log.at(-1)).toBe(`event=dial.not-begun call=${id} trunk=-`);
    }
  });

  it('is begun again by the same claim where an answer got lost, and dialled once', () => {
    const node = working({ dials: [dial] });
    node.statuses = [0, 204];
    node.pass(0);
    expect(posts(node, 'dials/begin')).toHaveLength(2);
    expect(node.commandsOf('originate')).toHaveLength(1);
  });

  it('takes nothing into a dial string that has a meaning there', () => {
    const hostile = [
      { to: '+49,sofia/calls/1' },
      { to: 'sip:a@b;fs_path=x' },
      { to: "+49'" },
      { callId: `${id} x` },
      { callId: '$x' },
      { claim: 'a,b' },
      { userId: 'a b' },
      { callerId: '1,2' },
    ];
    for (const wrong of hostile) {
      const node = working({ dials: [{ ...dial, ...wrong }] });
      node.pass(0);
      expect(node.commandsOf('originate')).toEqual([]);
      expect(node.log).toEqual([expect.stringMatching(/^event=dial\.not-understood/)]);
    }
    const node = working({ dials: [{ ...dial, trunk: 'a,b' }] });
    node.pass(0);
    expect(node.commandsOf('originate')[0]).not.toContain('a,b');
  });

  it('that fails is told with its cause, after the channel has had its chance to say more', () => {
    const node = working({ dials: [dial] });
    node.originate = () => '-ERR USER_BUSY\n';
    node.pass(0);
    expect(told(node)).toEqual([]);
    node.pass(3);
    expect(told(node)).toEqual([{ callId: id, claim: 'claim-1', state: 'failed', cause: 'USER_BUSY' }]);
  });

  const hungUp = (more: Record<string, string>) => ({
    variable_agent_call_id: id,
    variable_agent_dial: 'claim-1',
    variable_hangup_cause: 'USER_BUSY',
    variable_hangup_cause_q850: '17',
    ...more,
  });

  it('ends unanswered with SIP’s status, and is told as a dial, not as a call', () => {
    const node = new FreeSwitchDouble();
    node.event(
      'CHANNEL_HANGUP_COMPLETE',
      '',
      hungUp({ variable_sip_term_status: '486', variable_answer_epoch: '0' }),
    );
    node.pass(0);
    expect(told(node)).toEqual([
      { callId: id, claim: 'claim-1', state: 'failed', cause: 'USER_BUSY', q850: 17, sipStatus: 486 },
    ]);
    expect(posts(node, 'hangups')).toEqual([]);
  });

  it('that was answered ends as any call', () => {
    const node = new FreeSwitchDouble();
    node.event('CHANNEL_HANGUP_COMPLETE', '', hungUp({ variable_answer_epoch: '1800000000' }));
    node.pass(0);
    expect(told(node)).toEqual([]);
    expect(posts(node, 'hangups')).toHaveLength(1);
  });

  it('is told until the service has it, for half a minute', () => {
    const node = new FreeSwitchDouble();
    node.statuses = [503, 503, 0, 204];
    node.event('CHANNEL_HANGUP_COMPLETE', '', hungUp({}));
    node.pass(60);
    expect(told(node)).toHaveLength(4);
    node.statuses = [503];
    node.event('CHANNEL_HANGUP_COMPLETE', '', hungUp({}));
    node.pass(0);
    expect(told(node)).toHaveLength(4 + 7);
    expect(node.log.at(-1)).toBe(`event=dial.untold call=${id} state=failed status=503`);
    node.statuses = [404];
    node.event('CHANNEL_HANGUP_COMPLETE', '', hungUp({}));
    node.pass(0);
    expect(told(node), 'what is refused is not repeated').toHaveLength(4 + 7 + 1);
  });

  it('is streamed like any other once it is answered, with both numbers and who calls', () => {
    const node = new FreeSwitchDouble({
      ...{ destination_number: 'dialled', 'sip_h_X-Call-Id': '', agent_dial: 'claim-1', agent_call_id: id },
      ...{
        agent_user: 'user-1',
        agent_campaign: 'spring',
        agent_to: '+4930901820',
        agent_from: '+493012345',
      },
      agent_direction: 'outbound',
    });
    node.settings.older_url = 'wss://older.example.com';
    node.settings.service_percent = '0';
    node.call();
    node.event('mod_openai_audio_stream::connect');
    expect(node.commands[0]).toContain(`wss://calls.example.com/ws/freeswitch?callId=${id}&`);
    expect(sentJson(node.commands.at(-1))).toMatchObject({
      ...{ type: 'start_call', callId: id, userId: 'user-1', campaignId: 'spring', direction: 'outbound' },
      ...{ from: '+493012345', to: '+4930901820', sip: { callId: 'abc@trunk', node: 'node1' } },
    });
  });

  it('is streamed to where its user is kept', () => {
    const node = working({ dials: [{ ...dial, region: 'eu' }] });
    node.pass(0);
    const [originate] = node.commandsOf('originate');
    expect(originate).toMatch(/,agent_region=eu[,}]/);
    const answered = new FreeSwitchDouble({
      ...{ destination_number: 'dialled', 'sip_h_X-Call-Id': '', agent_dial: 'claim-1', agent_call_id: id },
      ...{ agent_user: 'eu-user', agent_to: '+4930901820', agent_from: '+493012345', agent_region: 'eu' },
    });
    answered.call();
    expect(answered.commands[0]).toMatch(/\/ws\/freeswitch\?callId=\S+&dialled=true&region=eu /);
  });

  it('is no way in: a caller who dials `dialled` has called nobody', () => {
    const node = new FreeSwitchDouble({ destination_number: 'dialled' });
    node.call();
    expect(node.applications).toEqual(['respond 404 Not Found']);
  });
});
