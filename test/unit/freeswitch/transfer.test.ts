import { describe, expect, it } from 'vitest';
import { FreeSwitchDouble, folder, sentJson, uuid } from '../../support/freeswitch/node.ts';

const raw = 'mod_openai_audio_stream';
const lostBody = '{"status":"disconnected","message":{"code":1006,"reason":"gone"}}';
const closedBody = '{"status":"disconnected","message":{"code":1000,"reason":"transferred"}}';
const refusedBody = '{"status":"error","message":{"retries":1,"error":"no","wait_time":0,"http_status":0}}';

function connected(node = new FreeSwitchDouble()): FreeSwitchDouble {
  node.call();
  node.event(`${node.settings.stream_module}::connect`);
  return node;
}

/** The service wants the caller to be connected. */
function asked(to = '+493012345', node = connected()): FreeSwitchDouble {
  const message = JSON.stringify({ type: 'transfer', to, ringSeconds: 20 });
  node.event(`${node.settings.stream_module}::json`, message);
  return node;
}

const dialled = (node: FreeSwitchDouble) => node.variables.get('agent_transfer_dial');
const told = (node: FreeSwitchDouble) =>
  node.commands
    .filter((command) => / send_(?:json|text) /.test(command))
    .map(sentJson)
    .filter((message) => (message as { type: string }).type === 'transfer');

describe('a transfer', () => {
  it('is dialled by the dialplan, through the proxy, with the number that the caller has called', () => {
    const node = asked();
    expect(node.commands.at(-1)).toBe(`uuid_transfer ${uuid} transfer XML calls`);
    const report = `luarun ${folder}/scripts/report.lua ${uuid}`;
    expect(dialled(node)).toBe(
      '{ignore_early_media=true,outbound_redirect_fatal=true,instant_ringback=true,originate_timeout=20,origination_caller_id_number=+4930901820,' +
        `origination_caller_id_name=+4930901820,sip_h_X-Call-Id=call-1-0,api_on_ring='${report} ringing',` +
        `api_on_pre_answer='${report} ringing',api_on_answer='${report} answered'}sofia/calls/+493012345@10.0.0.10:5060`,
    );
    // Whom it rings at stands in no log.
    expect(node.log.join()).not.toContain('12345');
  });

  it('goes to a SIP address by way of the proxy as well', () => {
    expect(dialled(asked('sip:sales@192.0.2.20:5070'))).toMatch(
      /\}sofia\/calls\/sip:sales@192\.0\.2\.20:5070;fs_path=sip:10\.0\.0\.10:5060$/,
    );
  });

  it('shows the caller’s number, and goes out by a trunk, where the node is set so', () => {
    const node = new FreeSwitchDouble();
    Object.assign(node.settings, {
      transfer_shows: 'caller',
      transfer_trunk: 'carrier-a',
      srtp: 'mandatory',
    });
    const dial = dialled(asked(undefined, connected(node)));
    expect(dial).toContain('origination_caller_id_number=+491701234567,');
    expect(dial).toContain(',sip_h_X-Trunk=carrier-a,rtp_secure_media=mandatory}');
  });

  it('of a call that we have made shows our number as well', () => {
    const dial = dialled(
      asked(
        undefined,
        connected(
          new FreeSwitchDouble({
            agent_dial: 'claim-1',
            agent_direction: 'outbound',
            agent_call_id: 'call-1-0',
            agent_user: 'user-1',
            agent_from: '+4930901820',
            agent_to: '+491701234567',
          }),
        ),
      ),
    );
    expect(dial).toContain('origination_caller_id_number=+4930901820,');
  });

  it.each([
    '+493012345,sofia/calls/+1900@evil',
    '+493012345|sofia/calls/+1900',
    '+0123',
    '+1234567890123456',
    '493012345',
    'sip:sales@example.com;fs_path=sip:evil',
    'sip:$(api)@example.com',
    "sip:a'b@example.com",
    'sip:a b@example.com',
    'sip:{x=y}@example.com',
    'sip:@example.com',
    'sip:sales@',
    'loopback/9999',
    `sip:${'a'.repeat(300)}@example.com`,
    '',
  ])('to %s is none: nothing is dialled, and the service is told', (to) => {
    const node = asked(to);
    expect(node.commandsOf('uuid_transfer')).toEqual([]);
    expect(dialled(node)).toBeUndefined();
    expect(told(node)).toEqual([{ type: 'transfer', state: 'failed', cause: 'INVALID_NUMBER_FORMAT' }]);
    expect(node.killed).toBeNull();
  });

  it('cannot be broken out of by what the caller calls himself', () => {
    const hostile = { caller_id_number: '+49,sip_h_X-Trunk=evil', destination_number: '+4930901820' };
    const node = new FreeSwitchDouble(hostile);
    node.settings.transfer_shows = 'caller';
    const dial = dialled(asked(undefined, connected(node))) ?? '';
    expect(dial).not.toContain('evil');
    expect(dial).toContain('origination_caller_id_number=+4930901820,');
  });

  it.each([
    [undefined, 30],
    [1, 5],
    [900, 120],
    [12, 12],
  ])('rings for as long as it may: asked %s, %i s', (ringSeconds, seconds) => {
    const node = connected();
    node.event(`${raw}::json`, JSON.stringify({ type: 'transfer', to: '+493012345', ringSeconds }));
    expect(dialled(node)).toContain(`originate_timeout=${seconds},`);
  });

  it('is not offered where there is no proxy, and not made', () => {
    const node = new FreeSwitchDouble();
    delete node.settings.proxy;
    node.call();
    expect(node.commands.join()).toContain('&features=dtmf mono');
    node.event(`${raw}::connect`);
    asked(undefined, node);
    expect(node.commandsOf('uuid_transfer')).toEqual([]);
  });

  it('is told with mod_audio_stream too, and mod_twilio_stream has no way to', () => {
    const node = new FreeSwitchDouble();
    node.settings.stream_module = 'mod_audio_stream';
    asked(undefined, connected(node));
    node.report('ringing');
    expect(node.commands.at(-1)).toBe(
      `uuid_audio_stream ${uuid} send_text {"type":"transfer","state":"ringing"}`,
    );
    const twilio = new FreeSwitchDouble();
    twilio.settings.stream_module = 'mod_twilio_stream';
    twilio.call();
    expect(twilio.commands.join()).not.toContain('features');
  });
});

describe('how it goes', () => {
  it('ringing is told once, whatever is rung with', () => {
    const node = asked();
    node.report('ringing');
    node.report('ringing');
    expect(told(node)).toEqual([{ type: 'transfer', state: 'ringing' }]);
  });

  it('answered: the service closes, the caller stays, and the end of the call says so', () => {
    const node = asked();
    node.report('ringing');
    node.report('answered');
    expect(told(node).at(-1)).toEqual({ type: 'transfer', state: 'answered' });
    node.event(`${raw}::disconnect`, closedBody);
    node.pass(600);
    expect(node.killed).toBeNull();
    expect(node.commandsOf('uuid_displace')).toEqual([]);
    expect(node.commands.filter((command) => command.includes(' start '))).toHaveLength(1);
    node.event('CHANNEL_HANGUP_COMPLETE', '', {
      variable_agent_call_id: 'call-1-0',
      variable_hangup_cause: 'NORMAL_CLEARING',
      variable_hangup_cause_q850: '16',
      variable_sip_hangup_disposition: 'send_bye',
      variable_billsec: '612',
      variable_agent_transfer: 'answered',
      variable_agent_transfer_at: String(node.now - 600),
    });
    node.pass(1);
    expect(sentJson(node.commandsOf('curl')[0])).toMatchObject({ seconds: 612, transferredSeconds: 600 });
    expect(node.log.at(-1)).toMatch(/ transferred=600$/);
  });

  it('answered: a service that keeps on listening is not let', () => {
    const node = asked();
    node.report('answered');
    node.pass(4);
    expect(node.commands.at(-1)).not.toContain(' stop');
    node.pass(1);
    expect(node.commands.at(-1)).toBe(`uuid_raw_audio_stream ${uuid} stop`);
    node.event(`${raw}::disconnect`, closedBody);
    expect(node.killed).toBeNull();
  });

  it('failed: the service is told why, and may ask for another', () => {
    const node = asked();
    node.variables.set('originate_disposition', 'USER_BUSY');
    node.variables.set('sip_invite_failure_status', '486');
    node.report('over');
    expect(told(node)).toEqual([{ type: 'transfer', state: 'failed', cause: 'USER_BUSY', sipStatus: 486 }]);
    asked(undefined, node);
    node.variables.set('originate_disposition', 'NO_ANSWER');
    node.report('over');
    // Without the status of the one before.
    expect(told(node).at(-1)).toEqual({ type: 'transfer', state: 'failed', cause: 'NO_ANSWER' });
    expect(node.killed).toBeNull();
  });

  it('given up by the service: the caller comes back, also from whoever has answered', () => {
    for (const state of ['ringing', 'answered'] as const) {
      const node = asked();
      node.report(state);
      node.event(`${raw}::json`, '{"type":"cancel_transfer"}');
      expect(node.commands.at(-1)).toBe(`uuid_transfer ${uuid} stay XML calls`);
      const before = told(node).length;
      node.report('over');
      node.report('answered');
      node.pass(10);
      expect(told(node)).toHaveLength(before);
      expect(node.commands.join()).not.toContain(' stop');
    }
  });

  it('the next one after one that was given up while it rang tells that it rings, too', () => {
    const node = asked();
    node.report('ringing');
    node.event(`${raw}::json`, '{"type":"cancel_transfer"}');
    asked(undefined, node);
    node.report('ringing');
    expect(told(node)).toEqual([
      { type: 'transfer', state: 'ringing' },
      { type: 'transfer', state: 'ringing' },
    ]);
  });

  it('asked for twice, it is dialled once', () => {
    const node = asked();
    asked('+493099999', node);
    expect(node.commandsOf('uuid_transfer')).toHaveLength(1);
    expect(dialled(node)).toContain('+493012345');
  });

  it('keys are whose the caller is with', () => {
    const node = asked();
    const before = node.commands.length;
    node.event('DTMF', '', { 'DTMF-Digit': '5', 'DTMF-Duration': '960' });
    expect(node.commands).toHaveLength(before);
  });

  it('the service ends the call while it rings: the caller is hung up on', () => {
    const node = asked();
    node.event(
      `${raw}::disconnect`,
      '{"status":"disconnected","message":{"code":4408,"reason":"time limit"}}',
    );
    expect(node.killed).toBe('NORMAL_CLEARING');
  });
});

describe('a WebSocket that is lost meanwhile', () => {
  it('is opened again, and the caller hears no hold line over the ringing', () => {
    const node = asked();
    node.event(`${raw}::disconnect`, lostBody);
    node.pass(0);
    expect(node.commandsOf('uuid_displace')).toEqual([]);
    expect(node.commands.at(-1)).toContain(' start ws');
  });

  it.each([
    ['answered', [{ type: 'transfer', state: 'answered' }]],
    ['over', [{ type: 'transfer', state: 'failed', cause: 'NO_ANSWER' }]],
  ] as const)('hears when it is back that it is %s', (what, messages) => {
    const node = asked();
    node.event(`${raw}::disconnect`, lostBody);
    node.pass(0);
    node.variables.set('originate_disposition', 'NO_ANSWER');
    node.report(what);
    expect(told(node)).toEqual([]);
    // Who is back with nobody hears that it goes on.
    expect(node.commandsOf('uuid_displace')).toHaveLength(what === 'over' ? 1 : 0);
    node.event(`${raw}::connect`);
    expect(told(node)).toEqual(messages);
  });

  /** Until the node gives the service up. */
  function forGood(node: FreeSwitchDouble): void {
    node.event(`${raw}::disconnect`, lostBody);
    for (let seconds = 0; seconds < 60; seconds++) {
      const before = node.commands.length;
      node.pass(seconds === 0 ? 0 : 1);
      const started = node.commands.slice(before).some((command) => command.includes(' start ws'));
      if (started && node.killed === null) node.event(`${raw}::error`, refusedBody);
    }
  }

  it('for good does not end the call of who is with somebody else', () => {
    const node = asked();
    node.report('answered');
    forGood(node);
    expect(node.killed).toBeNull();
    expect(node.log.at(-1)).toContain('event=stream.given-up ');
  });

  it('for good ends that of who is with nobody, once nobody has answered', () => {
    const node = asked();
    forGood(node);
    expect(node.killed).toBeNull();
    node.report('over');
    expect(node.killed).toBe('NORMAL_TEMPORARY_FAILURE');
  });
});
