/** A whole number that an option gives. @throws {RangeError} if it is none, or out of bounds. */
export function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${option}: a whole number from ${least} to ${most}`);
  }
  return value;
}
