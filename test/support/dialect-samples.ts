/**
 * What the far ends of the dialects send, as their documents print it (addresses below), or as their source writes it. Where a document
 * abbreviates an id or a payload, one of the same form stands here.
 */

const silence20 = Buffer.alloc(160, 0xff).toString('base64');
const pcm100 = Buffer.alloc(1_600).toString('base64');

/** https://www.twilio.com/docs/voice/media-streams/websocket-messages */
export const twilio = {
  connected: { event: 'connected', protocol: 'Call', version: '1.0.0' },
  start: {
    event: 'start',
    sequenceNumber: '1',
    start: {
      accountSid: 'ACXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
      streamSid: 'MZXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
      callSid: 'CAXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
      tracks: ['inbound'],
      mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
      customParameters: { userId: 'user-1', campaign_id: 'spring', From: '+15550100', RemoteParty: 'Bob' },
    },
    streamSid: 'MZXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
  },
  media: (chunk: number, payload = silence20, track = 'inbound') => ({
    event: 'media',
    sequenceNumber: String(chunk + 1),
    media: { track, chunk: String(chunk), timestamp: String(chunk * 20), payload },
    streamSid: 'MZXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
  }),
  dtmf: {
    event: 'dtmf',
    streamSid: 'MZXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
    sequenceNumber: '5',
    dtmf: { track: 'inbound_track', digit: '1' },
  },
  mark: {
    event: 'mark',
    sequenceNumber: '4',
    streamSid: 'MZXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
    mark: { name: 'my label' },
  },
  stop: {
    event: 'stop',
    sequenceNumber: '5',
    stop: {
      accountSid: 'ACXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
      callSid: 'CAXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
    },
    streamSid: 'MZXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
  },
};

/** `TwilioHelper` of somleng-switch, byte for byte: `customParameters` beside `start`, numbers from 0 on. */
export const modTwilioStream = {
  start:
    '{"event": "start","sequenceNumber": "1","start": {"accountSid": "acc","callSid": "call-7","streamSid": "str",' +
    '"tracks": ["inbound"],"mediaFormat": {"encoding": "audio/x-mulaw","sampleRate": 8000,"channels": 1}},' +
    '"customParameters": {"userId":"user-1"},"streamSid": "str"}',
  media: (chunk: number) =>
    `{ "event": "media","sequenceNumber": "${chunk + 2}","media": {"track": "inbound","chunk": "${chunk}",` +
    `"timestamp": "${chunk * 20}","payload": "${silence20}"},"streamSid": "str"}`,
};

/** https://developer.exotel.com/docs/agentstream/websocket-protocol */
export const exotel = {
  connected: { event: 'connected' },
  start: {
    event: 'start',
    sequence_number: '1',
    stream_sid: 'MZxxxxxxxxxxxxxxxxxxxxxxxx',
    start: {
      stream_sid: 'MZxxxxxxxxxxxxxxxxxxxxxxxx',
      call_sid: 'CAxxxxxxxxxxxxxxxxxxxxxxxx',
      account_sid: 'ACxxxxxxxxxxxxxxxxxxxxxxxx',
      from: '+919876543210',
      to: '+918047491899',
      custom_parameters: { key1: 'value1' },
      media_format: { encoding: 'audio/x-raw', sample_rate: '8000', bit_rate: '16' },
    },
  },
  media: (chunk: number, payload = pcm100) => ({
    event: 'media',
    sequence_number: String(chunk + 1),
    stream_sid: 'MZxxxxxxxxxxxxxxxxxxxxxxxx',
    media: { chunk: String(chunk), timestamp: String(chunk * 100), payload },
  }),
  dtmf: {
    event: 'dtmf',
    sequence_number: '7',
    stream_sid: 'MZxxxxxxxxxxxxxxxxxxxxxxxx',
    dtmf: { digit: '5', duration: '100' },
  },
  mark: {
    event: 'mark',
    sequence_number: '15',
    stream_sid: 'MZxxxxxxxxxxxxxxxxxxxxxxxx',
    mark: { name: 'greeting' },
  },
  stop: {
    event: 'stop',
    sequence_number: '20',
    stream_sid: 'MZxxxxxxxxxxxxxxxxxxxxxxxx',
    stop: {
      call_sid: 'CAxxxxxxxxxxxxxxxxxxxxxxxx',
      account_sid: 'ACxxxxxxxxxxxxxxxxxxxxxxxx',
      reason: 'callended',
    },
  },
};

/** https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket */
export const telnyx = {
  connected: { event: 'connected', version: '1.0.0' },
  start: {
    event: 'start',
    sequence_number: '1',
    stream_id: '32DE0DEA-53CB-4B21-89A4-9E1819C043BC',
    start: {
      user_id: '3E6F995F-85F7-4705-9741-53B116D28237',
      call_control_id: 'v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ',
      call_session_id: 'ff55a038-6f5d-11ef-9692-02420aeffb1f',
      from: '+13122010094',
      to: '+13122123456',
      tags: ['TAG1', 'TAG2'],
      client_state: 'aGF2ZSBhIG5pY2UgZGF5ID1d',
      custom_parameters: { customer_id: 'customer_123' },
      media_format: { encoding: 'PCMU', sample_rate: 8000, channels: 1 },
    },
  },
  media: (chunk: number, payload = silence20, track = 'inbound') => ({
    event: 'media',
    sequence_number: String(chunk + 1),
    stream_id: '32DE0DEA-53CB-4B21-89A4-9E1819C043BC',
    media: { track, chunk: String(chunk), timestamp: String(chunk * 20), payload },
  }),
  dtmf: {
    event: 'dtmf',
    stream_id: '32DE0DEA-53CB-4B21-89A4-9E1819C043BC',
    occurred_at: '2022-11-30T22:13:38.178000Z',
    sequence_number: '5',
    dtmf: { digit: '1' },
  },
  mark: {
    event: 'mark',
    sequence_number: '6',
    stream_id: '32DE0DEA-53CB-4B21-89A4-9E1819C043BC',
    mark: { name: 'greeting' },
  },
  error: {
    event: 'error',
    stream_id: '32DE0DEA-53CB-4B21-89A4-9E1819C043BC',
    payload: { code: 100003, title: 'malformed_frame', detail: 'Malformed frame.' },
  },
  stop: {
    event: 'stop',
    sequence_number: '7',
    stream_id: '32DE0DEA-53CB-4B21-89A4-9E1819C043BC',
    stop: { user_id: '3E6F995F-85F7-4705-9741-53B116D28237', call_control_id: 'v2:T02' },
  },
};

/** https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference */
export const plivo = {
  start: {
    event: 'start',
    sequenceNumber: 1,
    start: {
      callId: '12345678-1234-1234-1234-123456789abc',
      streamId: '87654321-4321-4321-4321-cba987654321',
      accountId: 'MAXXXXXXXXXXXXXXXXXX',
      tracks: ['inbound'],
      mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000 },
    },
    extra_headers: 'userId=12345;sessionId=abc-xyz',
  },
  media: (chunk: number, payload = silence20) => ({
    event: 'media',
    sequenceNumber: chunk + 1,
    streamId: '87654321-4321-4321-4321-cba987654321',
    media: { track: 'inbound', timestamp: '1705312200000', chunk, payload },
    extra_headers: 'userId=12345;sessionId=abc-xyz',
  }),
  dtmf: {
    event: 'dtmf',
    sequenceNumber: 5,
    streamId: '87654321-4321-4321-4321-cba987654321',
    dtmf: { track: 'inbound', digit: '5', timestamp: '1705312200000' },
    extra_headers: 'userId=12345;sessionId=abc-xyz',
  },
  playedStream: {
    event: 'playedStream',
    sequenceNumber: 6,
    streamId: '87654321-4321-4321-4321-cba987654321',
    name: 'customer greeting audio',
  },
  clearedAudio: {
    event: 'clearedAudio',
    sequenceNumber: 7,
    streamId: '87654321-4321-4321-4321-cba987654321',
  },
};

/** https://developer.vonage.com/en/voice/voice-api/concepts/websockets */
export const vonage = {
  connected: {
    event: 'websocket:connected',
    'content-type': 'audio/l16;rate=16000',
    user_id: 'user-1',
    uuid: 'aaaaaaaa-bbbb-cccc-dddd-0123456789ab',
    from: '447700900000',
  },
  dtmf: { event: 'websocket:dtmf', digit: '5', duration: 260 },
  notify: { event: 'websocket:notify', payload: { name: 'greeting' } },
  cleared: { event: 'websocket:cleared' },
};

/**
 * The text frame of the verb `listen`: call attributes, `sampleRate`, `mixType` (`_startListening` of jambonz-feature-server, and
 * https://docs.jambonz.org/verbs/verbs/listen).
 */
export const jambonz = {
  attributes: {
    sampleRate: 16000,
    mixType: 'mono',
    callSid: 'a32beae7-5c95-4b9c-ba30-71be39d5cc4f',
    direction: 'inbound',
    from: '+15083084809',
    to: '+15083728299',
    callId: '252Jw0ghKFBBNFxJ4XRmuQ@192.0.2.1',
    sipStatus: 200,
    callStatus: 'in-progress',
    accountSid: '9351f46a-678c-43f5-b8a6-d4eb58d131af',
    applicationSid: '0e0681b0-d49f-4fb8-b973-b5a3c6758de1',
    user_id: 'user-1',
  },
  dtmf: { event: 'dtmf', dtmf: '2', duration: '1600' },
  played: { type: 'mark', data: { name: 'm1', event: 'playout' } },
  cleared: { type: 'mark', data: { name: 'm2', event: 'cleared' } },
  playDone: { type: 'playDone', data: { id: 'x', playbackSeconds: '1' } },
};

/** What the hooks of a node were seen to send from a running FreeSWITCH. */
export const freeSwitch = {
  start: { type: 'start_call', call_id: 'fs-1', from: '+15550100', to: '+15550199', user_id: 'user-1' },
  dtmf: { type: 'dtmf', digit: '7', duration: '960' },
};
