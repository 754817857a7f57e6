import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Processes as the system's own account has them. Linux. */

/** `USER_HZ` is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** 127.0.0.1 as the kernel of a little-endian machine prints it, and its state of a socket that listens. */
const LOOPBACK = '0100007F:';
const LISTENING = '0A';

/** All processes below one. */
export function descendantsOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? parentOf(pid) : null;
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const below = (pid: number): number[] =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(root);
}

/** Program and arguments; empty where the process has ended meanwhile. */
export function commandOf(pid: number): string[] {
  return textOf(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
}

/** Resident memory in bytes that is the process's own, its program's pages apart; 0 where it has ended meanwhile. */
export function residentBytesOf(pid: number): number {
  const [, kilobytes] = /^RssAnon:\s+(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`)) ?? [];
  return Number(kilobytes ?? 0) * 1024;
}

/** CPU that processes have used, in milliseconds; of those that have ended meanwhile, none. */
export function cpuMsOf(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const stat = textOf(`/proc/${pid}/stat`);
    // proc(5): utime and stime are the 14th and 15th field, the state after the name is the third.
    const [user = 0, system = 0] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
      .map(Number);
    return user + system;
  });
  return ticks.reduce((sum, some) => sum + some, 0) * TICK_MS;
}

/** What its file descriptors lead to: paths, and `socket:[…]`. */
export function openFilesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        // It was closed between the two looks.
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** Ports of 127.0.0.1 that it listens on. */
export function listeningPortsOf(pid: number): number[] {
  const own = new Set(openFilesOf(pid).map((file) => /^socket:\[(\d+)\]$/.exec(file)?.[1]));
  // proc(5), /proc/net/tcp: the local address and port in hexadecimal are the second field, the state is the fourth, the inode the tenth.
  return textOf('/proc/net/tcp')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address = '', , state, , , , , , inode]) => {
      return address.startsWith(LOOPBACK) && state === LISTENING && own.has(inode);
    })
    .map(([, address = '']) => Number.parseInt(address.slice(LOOPBACK.length), 16));
}

function parentOf(pid: number): number | null {
  const stat = textOf(`/proc/${pid}/stat`);
  // After the command's name, which is in parentheses, come the state and the parent.
  return stat === '' ? null : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Empty where the process has ended meanwhile. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
