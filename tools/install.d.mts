/** Types of `install.mjs`, for the tests. */
export declare class InstallError extends Error {}
export declare function fingerprint(root: string): string;
export declare function whyInstall(root: string): string | null;
export declare function matchesLockFile(root: string): boolean;
export declare function ensureInstalled(root: string, say?: (line: string) => void): Promise<void>;
export interface Release {
  (): void;
  note(childPid: number): void;
}
export declare function takeLock(
  dir: string,
  say?: (line: string) => void,
  options?: { waitMs?: number; pollMs?: number },
): Promise<Release>;
