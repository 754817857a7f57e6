import { describe, expect, it } from 'vitest';
import { FreeSwitchDouble, sentJson, uuid } from '../../support/freeswitch/node.ts';

const raw = 'mod_openai_audio_stream';
const open = `${raw}::connect`;
const closed = `${raw}::disconnect`;
const failed = `${raw}::error`;
const lostBody = '{"status":"disconnected","message":{"code":1006,"reason":"gone"}}';
const refusedBody = '{"status":"error","message":{"retries":1,"error":"no","wait_time":0,"http_status":0}}';

function starts(node: FreeSwitchDouble): string[] {
  return node.commands.filter((command) => command.includes(`${uuid} start ws`));
}

/** Starts that no `stop` stands before: the module would still have the socket of the try before, and refuse. */
function startsWithoutStop(node: FreeSwitchDouble): number {
  const stream = node.commandsOf('uuid_raw_audio_stream').filter((command) => !command.includes('send_json'));
  return stream.filter((command, i) => command.includes(' start ') && !stream[i - 1]?.endsWith(' stop'))
    .length;
}

function connected(node = new FreeSwitchDouble()): FreeSwitchDouble {
  node.call();
  node.event(open);
  return node;
}

describe('a call that comes in', () => {
  it('is answered, streamed to the service with the node’s token, and introduced', () => {
    const node = connected();
    expect(node.applications).toEqual(['answer']);
    expect(node.variables.get('STREAM_EXTRA_HEADERS')).toBe('{"Authorization":"Bearer ach_node_secret"}');
    expect(starts(node)).toEqual([
      `uuid_raw_audio_stream ${uuid} start wss://calls.example.com/ws/freeswitch?callId=call-1-0&features=dtmf,transfer mono 8000 8000`,
    ]);
    expect(sentJson(node.commands.at(-1))).toEqual({
      type: 'start_call',
      callId: 'call-1-0',
      userId: 'user-1',
      campaignId: 'campaign-1',
      from: '+491701234567',
      to: '+4930901820',
      sampleRate: 8000,
      sip: { callId: 'abc@trunk', trunk: 'trunk1', node: 'node1' },
    });
  });

  it('to a number that is nobody’s is refused, unanswered', () => {
    const node = new FreeSwitchDouble({ destination_number: '4930' });
    node.call();
    expect(node.applications).toEqual(['respond 404 Not Found']);
    expect(node.commands).toEqual([]);
  });

  it('is left to another node where numbers.list cannot be read', () => {
    const node = new FreeSwitchDouble();
    node.numbers = null;
    node.call();
    expect(node.applications).toEqual(['respond 503 Service Unavailable']);
    expect(node.log).toEqual([expect.stringMatching(/^event=call.failed call=\S+ why=\S*cannot_open/)]);
  });

  it('finds its number with and without a plus, and may have no campaign', () => {
    const node = connected(new FreeSwitchDouble({ destination_number: '+4930901821' }));
    expect(sentJson(node.commands.at(-1))).toMatchObject({ userId: 'user-2', to: '+4930901821' });
    expect(sentJson(node.commands.at(-1))).not.toHaveProperty('campaignId');
  });

  it('in Opus is streamed with 16 kHz', () => {
    const node = connected(new FreeSwitchDouble({ read_rate: '48000' }));
    expect(starts(node)[0]).toMatch(/ mono 16000 16000$/);
    expect(sentJson(node.commands.at(-1))).toMatchObject({ sampleRate: 16000 });
  });

  it('cannot break out of the messages with what it calls itself', () => {
    const hostile = { caller_id_number: 'a"},\'\\ b\n{', sip_call_id: `'"\\;|$(x)` };
    const node = connected(new FreeSwitchDouble({ ...hostile, 'sip_h_X-Call-Id': 'no/../id' }));
    expect(sentJson(node.commands.at(-1))).toMatchObject({
      callId: uuid,
      from: 'a__,___b__',
      sip: { callId: '_______x_' },
    });
  });

  it('without an id of the proxy’s has the channel’s', () => {
    const node = connected(new FreeSwitchDouble({ 'sip_h_X-Call-Id': '' }));
    expect(starts(node)[0]).toContain(`callId=${uuid}&`);
  });
});

describe('the other modules', () => {
  it('mod_audio_stream gets the introduction as its metadata, and plays files', () => {
    const node = new FreeSwitchDouble();
    node.settings.stream_module = 'mod_audio_stream';
    node.call();
    const [start] = starts(node);
    expect(start).toContain('/ws/mod_audio_stream?callId=call-1-0&features=dtmf,transfer mono 8000 {');
    expect(sentJson(start)).toMatchObject({ type: 'start_call', userId: 'user-1' });
    node.event('mod_audio_stream::connect');
    node.event('mod_audio_stream::play', '{"audioDataType":"raw","file":"\\/tmp\\/a_0.tmp.r8"}');
    node.event('mod_audio_stream::json', '{"type":"killAudio"}');
    node.event('DTMF', '', { 'DTMF-Digit': '5', 'DTMF-Duration': '960' });
    expect(node.commands.slice(1)).toEqual([
      `uuid_broadcast ${uuid} /tmp/a_0.tmp.r8 aleg`,
      `uuid_break ${uuid} all`,
      `uuid_audio_stream ${uuid} send_text {"type":"dtmf","digit":"5","duration":960}`,
    ]);
  });

  it('mod_twilio_stream gets its parameters, and the token by HTTP Basic', () => {
    const node = new FreeSwitchDouble();
    node.settings.stream_module = 'mod_twilio_stream';
    node.call();
    const [start] = starts(node);
    expect(start).toContain('/ws/mod_twilio_stream?callId=call-1-0 ');
    expect(sentJson(start)).toMatchObject({
      call_sid: 'call-1-0',
      stream_sid: 'call-1-0',
      custom_parameters: { userId: 'user-1', from: '+491701234567' },
    });
    expect(node.variables.get('MOD_AUDIO_BASIC_AUTH_USERNAME')).toBe('node1');
    expect(node.variables.get('MOD_AUDIO_BASIC_AUTH_PASSWORD')).toBe('ach_node_secret');
    // It tells keys by itself.
    node.event('DTMF', '', { 'DTMF-Digit': '5', 'DTMF-Duration': '960' });
    expect(node.commands).toHaveLength(1);
  });

  it('mod_twilio_stream tells no close code: what is closed at once after coming back is over', () => {
    const node = new FreeSwitchDouble();
    node.settings.stream_module = 'mod_twilio_stream';
    node.call();
    node.event('mod_twilio_stream::connect');
    node.pass(60);
    node.event('mod_twilio_stream::disconnect');
    expect(node.killed).toBeNull();
    node.pass(0);
    node.event('mod_twilio_stream::connect');
    node.pass(1);
    node.event('mod_twilio_stream::disconnect');
    expect(node.killed).toBe('NORMAL_CLEARING');
  });
});

describe('a lost WebSocket', () => {
  it('is opened again at once, with the same id and the token of the call; the caller hears the hold line meanwhile', () => {
    const node = connected();
    node.event(`${raw}::json`, '{"type":"accepted","callId":"call-1-0","resumeToken":"tok-1"}');
    node.pass(60);
    node.event(closed, lostBody);
    expect(node.commandsOf('uuid_displace')).toEqual([
      `uuid_displace ${uuid} start tone_stream://hold 0 loop`,
    ]);
    node.pass(0);
    expect(starts(node)).toHaveLength(2);
    expect(new Set(starts(node)).size).toBe(1);
    node.event(open);
    expect(node.commandsOf('uuid_displace').at(-1)).toBe(`uuid_displace ${uuid} stop tone_stream://hold`);
    expect(sentJson(node.commands.at(-1))).toMatchObject({ callId: 'call-1-0', resumeToken: 'tok-1' });
    expect(node.killed).toBeNull();
  });

  it('is tried less and less often, and given up after reopen_seconds', () => {
    const node = connected();
    node.pass(60);
    const lostAt = node.now;
    node.event(closed, lostBody);
    const tries: number[] = [];
    for (let seconds = 0; node.killed === null && seconds < 120; seconds++) {
      const before = starts(node).length;
      node.pass(seconds === 0 ? 0 : 1);
      if (starts(node).length === before) continue;
      tries.push(node.now - lostAt);
      node.event(failed, refusedBody);
    }
    expect(tries).toEqual([0, 1, 3, 7, 15, 23]);
    expect(startsWithoutStop(node)).toBe(1);
    expect(node.killed).toBe('NORMAL_TEMPORARY_FAILURE');
    expect(node.commandsOf('uuid_displace')).toHaveLength(1);
  });

  it('whose service takes connections and says nothing is given up as well', () => {
    const node = connected();
    node.event(closed, lostBody);
    node.pass(60);
    expect(starts(node).length).toBeGreaterThan(3);
    expect(node.killed).toBe('NORMAL_TEMPORARY_FAILURE');
    expect(startsWithoutStop(node)).toBe(1);
  });

  it('of which two events tell is lost once', () => {
    const node = new FreeSwitchDouble();
    node.settings.stream_module = 'mod_twilio_stream';
    node.call();
    node.event('mod_twilio_stream::connect_failed', '', {});
    node.event('mod_twilio_stream::disconnect');
    node.pass(1);
    expect(starts(node)).toHaveLength(2);
  });

  it('that is lost anew a minute later has all its tries again; a service that fails each call at once has not', () => {
    const node = connected();
    for (let i = 0; i < 8; i++) {
      node.pass(60);
      node.event(closed, lostBody);
      node.pass(0);
      node.event(open);
    }
    expect(node.killed).toBeNull();
    for (let i = 0; i < 20 && node.killed === null; i++) {
      node.event(closed, '{"status":"disconnected","message":{"code":1011,"reason":"error"}}');
      node.pass(9);
      node.event(open);
    }
    expect(node.killed).toBe('NORMAL_TEMPORARY_FAILURE');
  });

  it('is not opened again once the caller is gone', () => {
    const node = connected();
    node.event(closed, lostBody);
    node.killed = 'caller';
    node.pass(60);
    expect(starts(node)).toHaveLength(1);
  });

  it('that could not be started is tried again', () => {
    const node = new FreeSwitchDouble();
    node.startAnswer = '-ERR Operation Failed\n';
    node.call();
    node.startAnswer = '+OK Success\n';
    node.pass(1);
    expect(starts(node)).toHaveLength(2);
  });
});

describe('the end of a call', () => {
  it.each([1000, 4400, 4402, 4403, 4408, 4409, 4410, 4429])('comes with close code %i', (code) => {
    const node = connected();
    node.event(closed, `{"status":"disconnected","message":{"code":${code},"reason":"x"}}`);
    expect(node.killed).toBe('NORMAL_CLEARING');
    node.pass(60);
    expect(starts(node)).toHaveLength(1);
  });

  it.each([400, 401, 403, 404, 426])('comes with HTTP %i: the service will not have it', (status) => {
    const node = new FreeSwitchDouble();
    node.call();
    node.event(
      failed,
      `{"status":"error","message":{"retries":1,"error":"x","wait_time":0,"http_status":${status}}}`,
    );
    expect(node.killed).toBe('NORMAL_TEMPORARY_FAILURE');
  });

  it.each([429, 503])('does not come with HTTP %i', (status) => {
    const node = new FreeSwitchDouble();
    node.call();
    node.event(
      failed,
      `{"status":"error","message":{"retries":1,"error":"x","wait_time":0,"http_status":${status}}}`,
    );
    expect(node.killed).toBeNull();
  });

  it('comes with the service’s word', () => {
    const node = connected();
    node.event(`${raw}::json`, '{"type":"hangup"}');
    expect(node.killed).toBe('NORMAL_CLEARING');
  });

  it('is one line of the log, and leaves nothing behind', () => {
    const node = connected();
    node.event(closed, lostBody);
    node.pass(0);
    expect(node.hashed).toBe(1);
    const headers = {
      variable_agent_call_id: 'call-1-0',
      variable_agent_serial: '2',
      variable_sip_call_id: 'abc@trunk',
      variable_hangup_cause: 'NORMAL_CLEARING',
      variable_hangup_cause_q850: '16',
      variable_sip_hangup_disposition: 'recv_bye',
      variable_billsec: '12',
    };
    node.event('CHANNEL_HANGUP_COMPLETE', '', headers);
    expect(node.log.at(-1)).toBe(
      'event=call.ended call=call-1-0 sip=abc@trunk cause=NORMAL_CLEARING q850=16 by=recv_bye seconds=12 released=- transferred=-',
    );
    expect(node.hashed).toBe(0);
  });

  describe('is told to the service', () => {
    const ended = (node: FreeSwitchDouble, more: Record<string, string> = {}) => {
      const headers = {
        variable_agent_call_id: 'call-1-0',
        variable_hangup_cause: 'NORMAL_CLEARING',
        variable_hangup_cause_q850: '16',
        variable_sip_hangup_disposition: 'recv_bye',
        variable_billsec: '12',
        ...more,
      };
      node.event('CHANNEL_HANGUP_COMPLETE', '', headers);
      node.pass(60);
      return node.commandsOf('curl');
    };

    it('with the cause', () => {
      const [request, ...more] = ended(connected());
      expect(request).toContain('curl https://calls.example.com/api/v1/nodes/hangups json secure timeout 5 ');
      expect(request).toContain(
        ' append_headers X-Node-Token:ach_node_secret content-type application/json post {',
      );
      expect(sentJson(request)).toEqual({
        callId: 'call-1-0',
        cause: 'NORMAL_CLEARING',
        q850: 16,
        by: 'recv_bye',
        seconds: 12,
      });
      expect(more).toEqual([]);
    });

    it('three times at most, where it does not take it', () => {
      const node = connected();
      node.statuses = [404, 503];
      expect(ended(node)).toHaveLength(3);
      expect(node.log.at(-1)).toBe('event=hangup.untold call=call-1-0 status=503');
    });

    it('not if the older one had the call', () => {
      const node = new FreeSwitchDouble();
      node.settings.service_percent = '0';
      node.settings.older_url = 'wss://older.example/stream';
      connected(node);
      expect(node.variables.get('agent_older')).toBe('true');
      expect(ended(node, { variable_agent_older: 'true' })).toEqual([]);
    });
  });
});

describe('keys', () => {
  it('of the caller’s reach the service', () => {
    const node = connected();
    node.event('DTMF', '', { 'DTMF-Digit': '#', 'DTMF-Duration': '1280' });
    expect(sentJson(node.commands.at(-1))).toEqual({ type: 'dtmf', digit: '#', duration: 1280 });
  });

  it('of the agent’s are sent, others not', () => {
    const node = connected();
    node.event(`${raw}::json`, '{"type":"dtmf","digits":"12w3#"}');
    node.event(`${raw}::json`, '{"type":"dtmf","digits":"1 2"}');
    expect(node.commandsOf('uuid_send_dtmf')).toEqual([`uuid_send_dtmf ${uuid} 12w3#`]);
  });
});

describe('the move from an older service', () => {
  const older = 'wss://older.example/stream?x=1';
  it('takes so many of a hundred calls, the same ones each time, and more of them later', () => {
    const shares = new FreeSwitchDouble().evaluate(`
      local stream = require("stream")
      local ten, fifty, both, none, all = 0, 0, 0, 0, 0
      for i = 1, 1000 do
        local id = string.format("00000000-1111-4222-8333-%012d-0", i)
        if stream.isAmong(id, 10) then ten = ten + 1 end
        if stream.isAmong(id, 50) then fifty = fifty + 1 end
        if stream.isAmong(id, 10) and stream.isAmong(id, 50) then both = both + 1 end
        if stream.isAmong(id, 0) then none = none + 1 end
        if stream.isAmong(id, 100) then all = all + 1 end
      end
      host("log", table.concat({ ten, fifty, both, none, all }, " "))
    `);
    const [ten = 0, fifty = 0, both, none, all] = shares.split(' ').map(Number);
    // Three standard deviations of 1,000 draws are 28 and 47.
    expect(Math.abs(ten - 100)).toBeLessThan(28);
    expect(Math.abs(fifty - 500)).toBeLessThan(47);
    expect([both, none, all]).toEqual([ten, 0, 1_000]);
  });

  it('does not take ids that differ in their last character in long rows', () => {
    const ways = new FreeSwitchDouble().evaluate(`
      local stream = require("stream")
      local ways = {}
      for i = 33, 126 do ways[#ways + 1] = stream.isAmong("call-" .. string.char(i), 50) and "1" or "0" end
      host("log", table.concat(ways))
    `);
    expect(ways).not.toMatch(/0{12}|1{12}/);
  });

  it('sends the others there, with another token', () => {
    const node = new FreeSwitchDouble();
    node.settings.service_percent = '0';
    node.settings.older_url = older;
    node.settings.older_authorization = 'Bearer older';
    node.call();
    // Its query may hold a secret.
    expect(node.log.at(-1)).toMatch(/ url=wss:\/\/older\.example\/stream$/);
    expect(starts(node)[0]).toContain(` start ${older}&callId=call-1-0 `);
    expect(node.variables.get('STREAM_EXTRA_HEADERS')).toBe('{"Authorization":"Bearer older"}');
  });

  it('tells the older service no token of ours', () => {
    const node = new FreeSwitchDouble();
    node.settings.service_percent = '0';
    node.settings.older_url = older;
    node.call();
    expect(node.variables.has('STREAM_EXTRA_HEADERS')).toBe(false);
  });

  it('keeps a call where it began', () => {
    const node = new FreeSwitchDouble();
    node.settings.service_percent = '0';
    node.settings.older_url = older;
    connected(node);
    node.settings.service_percent = '100';
    node.event(closed, lostBody);
    node.pass(0);
    expect(starts(node)[1]).toContain(older);
  });
});
