/** 75,300 ms → `1:15`. */
export function clockTime(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** 75,340 ms → `1:15.3`. */
export function preciseTime(ms: number): string {
  return `${clockTime(ms)}.${Math.floor((Math.max(0, ms) % 1000) / 100)}`;
}

/** 840 → `840 ms`, 12,400 → `12.4 s`. */
export function duration(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
