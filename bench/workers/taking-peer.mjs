// The peer as it takes a call's frames: with a transcriber that looks at none of them.
import { Agent, routeAgentRequest } from 'agents';
import { withVoice } from 'agents/voice';

const deaf = { feed: () => {}, close: () => {}, waitUntilReady: async () => {} };

export class VoicePeer extends withVoice(Agent, { audioFormat: 'pcm16', sampleRate: 16_000 }) {
  transcriber = { createSession: () => deaf };
  tts = { synthesize: async () => null };

  onTurn() {
    return '';
  }
}

export default {
  fetch: async (request, env) =>
    (await routeAgentRequest(request, env)) ?? new Response('no such agent', { status: 404 }),
};
