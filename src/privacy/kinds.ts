/** What may be taken out of what is stored of a call. In the order in which they go before each other. */
export const redactionKinds = ['card', 'identity', 'email', 'phone'] as const;
export type RedactionKind = (typeof redactionKinds)[number];

/** How the caller's number is stored: as it came, as {@link maskNumber} shows it, or as a keyed hash that only matches. */
export const storedNumbers = ['plain', 'masked', 'hashed'] as const;
export type StoredNumber = (typeof storedNumbers)[number];
