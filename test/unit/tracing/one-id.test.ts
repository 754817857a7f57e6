import { describe, expect, it } from 'vitest';
import { maskId } from '../../../src/privacy/mask.ts';
import { traceIdOf } from '../../../src/tracing/trace-context.ts';
import { FreeSwitchDouble, sentJson } from '../../support/freeswitch/node.ts';
import { seededIds } from '../../support/traced-call.ts';

/** What Kamailio writes as `call=`; `test/sip/failover.test.ts` has its lines beside the header that the node gets. */
const atTheProxy = '5b1f0c2e-77aa-4a51-9c3e-001234567890';

describe('one id', () => {
  it('leads from the proxy’s lines to the node’s, to the service’s, and to the trace', () => {
    const node = new FreeSwitchDouble({ 'sip_h_X-Call-Id': `${atTheProxy}-0` });
    node.call();
    node.event('mod_openai_audio_stream::connect');
    const lines = node.log.filter((line) => line.startsWith('event='));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toContain(` call=${atTheProxy}-0 `);

    const { callId } = sentJson(node.commands.at(-1)) as { callId: string };
    expect(callId).toBe(`${atTheProxy}-0`);
    // However many digits are in it, it is shown as it is: no caller has chosen it.
    expect(maskId(callId)).toBe(callId);
    expect(traceIdOf(callId, seededIds(1))).toBe(atTheProxy.replaceAll('-', ''));
  });

  it('is that of the call where a second node has it', () => {
    expect(traceIdOf(`${atTheProxy}-1`, seededIds(1))).toBe(traceIdOf(`${atTheProxy}-0`, seededIds(2)));
  });
});
