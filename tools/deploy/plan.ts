/** Something that is to be done, or is done already. */
export interface Step {
  /** In a few words: `create the bucket x`. */
  what: string;
  /** The command that does it, for those who would rather do it by hand; null: none is needed, or it is no command. */
  command: string | null;
  /** Absent: it is done. */
  run?: () => Promise<void>;
}

export interface Plan {
  title: string;
  /** What is good to know before. */
  facts: string[];
  steps: Step[];
  /** Why it must not be done; nothing is, then. */
  refusals: string[];
}

export interface CarryOut {
  /** Only tells. */
  dryRun: boolean;
  /** Does not ask. */
  yes: boolean;
  /** Null: there is nobody to be asked. */
  ask: ((question: string) => Promise<string>) | null;
  print: (line: string) => void;
}

/** Shows a plan, asks, and does what is to be done, in order; the first failure ends it. The exit code of the process. */
export async function carryOut(plan: Plan, { dryRun, yes, ask, print }: CarryOut): Promise<number> {
  print(plan.title);
  for (const fact of plan.facts) print(`  ${fact}`);
  for (const { what, command, run } of plan.steps) {
    print(`  ${run === undefined ? 'done ' : 'to do'}  ${what}`);
    if (run !== undefined && command !== null) print(`           ${command}`);
  }
  if (plan.refusals.length > 0) {
    for (const refusal of plan.refusals) print(`Refused: ${refusal}`);
    return 1;
  }
  const open = plan.steps.filter((step) => step.run !== undefined);
  if (open.length === 0) {
    print('Nothing is to be done.');
    return 0;
  }
  if (dryRun) {
    print('Nothing was changed.');
    return 0;
  }
  if (!yes) {
    if (ask === null) {
      print('Nothing was changed: there is no terminal to ask. --yes does it without asking.');
      return 1;
    }
    const answer = await ask('Do it? [y/N] ');
    if (!/^y(es)?$/i.test(answer.trim())) {
      print('Nothing was changed.');
      return 1;
    }
  }
  for (const { what, run } of open) {
    print(`${what} …`);
    await run!();
  }
  print('Done.');
  return 0;
}
