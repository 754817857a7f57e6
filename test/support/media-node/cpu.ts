import { readFileSync } from 'node:fs';

/** Of `/proc/PID/stat`'s times, in microseconds: `getconf CLK_TCK` is 100 on Linux. */
const tickUs = 10_000;

/** CPU that a process of this Linux has used so far, in microseconds. */
export function cpuUsOf(pid: number | undefined): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // proc(5): utime and stime are fields 14 and 15; the second field may hold blanks, in brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickUs;
}
