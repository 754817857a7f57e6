const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/**
 * Parameters that FreeSWITCH 1.11.1 knows, by the configuration's name; it passes over others in silence. Not all of them: those that a node of ours
 * may have use for. https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Configuration/
 */
export const known: Record<string, readonly string[]> = {
  'switch.conf':
    words(`switchname max-sessions sessions-per-second rtp-start-port rtp-end-port core-db-name max-db-handles
    db-handle-timeout loglevel colorize-console dump-cores rtp-retain-crypto-keys rtp-port-usage-robustness min-dtmf-duration
    max-dtmf-duration default-dtmf-duration event-heartbeat-interval max-audio-channels enable-monotonic-timing auto-clear-sql
    initial-event-threads uuid-version`),
  'event_socket.conf': words(
    'nat-map listen-ip listen-port password apply-inbound-acl stop-on-bind-error debug',
  ),
  'sofia.conf': words('log-level debug-presence abort-on-empty-external-ip auto-restart capture-server'),
  'lua.conf': words(
    'script-directory module-directory startup-script xml-handler-script xml-handler-bindings',
  ),
  'console.conf': words('colorize loglevel uuid'),
  'curl.conf': words('max-bytes validate-certs'),
  'logfile.conf': words('rotate-on-hup logfile rollover maximum-rotate uuid'),
  'opus.conf':
    words(`use-vbr use-dtx complexity packet-loss-percent asymmetric-sample-rates bitrate-negotiation keep-fec-enabled
    maxaveragebitrate maxplaybackrate sprop-maxcapturerate adjust-bitrate mono`),
  profile:
    words(`sip-ip sip-port rtp-ip ext-sip-ip ext-rtp-ip local-network-acl user-agent-string dialplan context apply-inbound-acl auth-calls
    log-auth-failures disable-register disable-transfer manage-presence sip-options-respond-503-on-busy max-proceeding
    inbound-codec-prefs outbound-codec-prefs inbound-codec-negotiation inbound-late-negotiation rtp-timer-name dtmf-type rfc2833-pt
    dtmf-duration session-timeout minimum-session-expires enable-timer enable-100rel tls tls-bind-params tls-sip-port tls-cert-dir
    tls-version tls-ciphers tls-only auto-jitterbuffer-msec rtp-autofix-timing suppress-cng max-recv-requests-per-second timer-T1
    timer-T1X64 bind-params sip-trace`),
};

/** Applications of the dialplan, and commands of the API, each with the module that brings it. */
export const applications: Record<string, string> = {
  set: 'mod_dptools',
  playback: 'mod_dptools',
  transfer: 'mod_dptools',
  bridge: 'mod_dptools',
  sched_hangup: 'mod_dptools',
  respond: 'mod_dptools',
  lua: 'mod_lua',
};

export const apis: Record<string, string> = {
  originate: 'mod_commands',
  uuid_getvar: 'mod_commands',
  uuid_setvar: 'mod_commands',
  uuid_exists: 'mod_commands',
  uuid_kill: 'mod_commands',
  uuid_transfer: 'mod_commands',
  uuid_displace: 'mod_commands',
  uuid_broadcast: 'mod_commands',
  uuid_break: 'mod_commands',
  uuid_send_dtmf: 'mod_commands',
  sched_api: 'mod_commands',
  fsctl: 'mod_commands',
  hupall: 'mod_commands',
  json: 'mod_commands',
  reloadxml: 'mod_commands',
  reloadacl: 'mod_commands',
  show: 'mod_commands',
  module_exists: 'mod_commands',
  sofia: 'mod_sofia',
  hash: 'mod_hash',
  luarun: 'mod_lua',
  curl: 'mod_curl',
  uuid_raw_audio_stream: 'mod_openai_audio_stream',
  uuid_audio_stream: 'mod_audio_stream',
  uuid_twilio_stream: 'mod_twilio_stream',
};

export const fileFormats: Record<string, string> = {
  tone_stream: 'mod_tone_stream',
  silence_stream: 'mod_tone_stream',
};

/** Events of the streaming modules without which a call would not go on, or not end. */
export const events: Record<string, readonly string[]> = {
  mod_openai_audio_stream: ['connect', 'disconnect', 'error', 'json'].map(
    (name) => `mod_openai_audio_stream::${name}`,
  ),
  mod_audio_stream: ['connect', 'disconnect', 'error', 'json', 'play'].map(
    (name) => `mod_audio_stream::${name}`,
  ),
  mod_twilio_stream: ['connect', 'disconnect', 'connect_failed'].map((name) => `mod_twilio_stream::${name}`),
};
