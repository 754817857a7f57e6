import { CostUsageError, costUsage, parseCostArguments } from './cost/arguments.ts';
import { billOf } from './cost/bill.ts';
import { claimsOf } from './cost/documents.ts';
import { measured } from './cost/measured.ts';
import { billText } from './cost/print.ts';
import { savingsOf } from './cost/savings.ts';

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CostUsageError || error instanceof RangeError)) throw error;
  console.error(`${error.message}\n\n${costUsage}`);
  process.exitCode = 2;
}

function main(args: readonly string[]): void {
  const options = parseCostArguments(args);
  if (options.help) {
    console.log(costUsage);
    return;
  }
  const bill = billOf(options);
  const printed = { options, bill, savings: savingsOf(options, bill), claims: claimsOf() };
  console.log(options.json ? JSON.stringify({ ...printed, measured }) : billText(printed));
}
