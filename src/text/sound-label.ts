/** What transcribers write where they hear music or noise: "[Music]", "(applause)", "♪ ♪", "*coughs*", or dots alone. */
const labels = /\[[^\]]*\]|\([^)]*\)|（[^）]*）|【[^】]*】|\*[^*]*\*|♪[^♪]*♪/gu;

/** The words of a transcript; empty where it holds nothing but labels of sounds and punctuation. */
export function withoutSoundLabels(text: string): string {
  const words = text.replace(labels, ' ');
  return /[\p{L}\p{N}]/u.test(words) ? text : '';
}
