import { type Member, settingNames } from './members.ts';
import type { FoundSettings } from './settings.ts';
import type { Trial } from './trial.ts';

/** What to do about a failure, in one sentence that names settings and never their secret values. */
export function adviceOn(
  member: Member,
  failure: Extract<Trial, { result: 'failed' }>['failure'],
  { values, sources }: FoundSettings,
): string {
  const names = settingNames(member);
  const isSet = (name: string) => typeof values[name] === 'string' && values[name].trim() !== '';
  const named = (name: string) => {
    const source = sources.get(name);
    return source === undefined ? name : `${name} (from ${source})`;
  };
  const { vendor } = member.settings;
  const key = named(names.keys.find(isSet) ?? names.keys.at(-1)!);
  const model = `the model ${named(names.models.find(isSet) ?? names.models[0]!)}, now ${member.model}`;
  const voice = names.voices.find(isSet) ?? names.voices[0];
  const address = names.addresses.find(isSet);
  const at = address === undefined ? null : `${named(address)}, now at ${hostOf(values[address])}`;
  switch (failure) {
    case 'unauthorized':
      return `Look at ${key}: it is wrong, expired, or not entitled to ${member.model}.`;
    case 'rejected':
      return `Look at ${[model, voice === undefined ? null : `the voice ${named(voice)}`, at].filter(Boolean).join('; ')}.`;
    case 'rate_limited':
      return `The account behind ${key} is at a limit: look at the vendor's page of limits and billing.`;
    case 'timeout':
    case 'unavailable':
      return at === null
        ? `Does this machine reach ${vendor} (firewall, proxy)? Does the vendor's status page tell of a failure?`
        : `Look at ${at}: is it right, and reached from here?`;
    case 'malformed':
      return at === null
        ? `Look at ${model}: it did not answer as ${vendor} does.`
        : `Look at ${at}: what answers there does not speak ${vendor}'s API. Or look at ${model}.`;
    case 'error':
      return `Look at ${[key, at].filter(Boolean).join(' and ')}: a character in it may not belong there.`;
  }
}

/** An address may hold a password. */
export function hostOf(address: unknown): string {
  return typeof address === 'string' && URL.canParse(address) ? new URL(address).host : 'no address';
}
