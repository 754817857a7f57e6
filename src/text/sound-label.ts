/** What transcribers write where they hear music or noise: "[Music]", "(applause)", "♪ ♪", "*coughs*". Brackets with digits are none. */
const labels = /\[[^\]\d]*\]|\([^)\d]*\)|（[^）\d]*）|【[^】\d]*】|\*[^*\d]+\*|♪[^♪]*♪|♪/gu;

/** The words of a transcript, without labels of sounds; empty where it holds nothing else but punctuation. */
export function withoutSoundLabels(text: string): string {
  const words = text.replace(labels, ' ');
  if (!/[\p{L}\p{N}]/u.test(words)) return '';
  return words === text ? text : words.replace(/\s+/gu, ' ').trim();
}
