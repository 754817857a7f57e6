import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const folder = join(import.meta.dirname, '..', '..', 'monitoring');

/** A file of `monitoring/`, as it is shipped. */
export function monitoringFile(name: string): string {
  return readFileSync(join(folder, name), 'utf8');
}

/** The rules of `alerts.yml`: what they are called, whom they concern, what they ask. A folded text is one line. */
export interface WrittenRule {
  kind: 'record' | 'alert';
  name: string;
  expr: string;
  severity: string | null;
  /** The service's own rule that it repeats, or a name like those. */
  rule: string | null;
}

export function writtenRules(text = monitoringFile('alerts.yml')): WrittenRule[] {
  const entries = text.split(/^ {6}- (?=record:|alert:)/m).slice(1);
  return entries.map((entry) => {
    const [, kind, name] = /^(record|alert): (\S+)/.exec(entry)!;
    const [, folded, plain] = /^ {8}expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)/m.exec(entry)!;
    const expr = (folded ?? plain!)
      .split('\n')
      .map((line) => line.trim())
      .join(' ')
      .trim();
    const of = (label: string) => new RegExp(`labels:.*\\b${label}: ([a-z-]+)`).exec(entry)?.[1] ?? null;
    return {
      kind: kind as WrittenRule['kind'],
      name: name!,
      expr,
      severity: of('severity'),
      rule: of('rule'),
    };
  });
}

/**
 * The dashboard's form, so far as it is used: Grafana's own is `Dashboard` in `@grafana/schema`
 * (`raw/dashboard/x/types.gen.d.ts`), to whose types of 13.2.3 the file was held when it was made.
 */
const datasource = z.strictObject({ type: z.enum(['prometheus', 'grafana']), uid: z.string() });
const target = z.strictObject({
  expr: z.string().min(1),
  legendFormat: z.string(),
  refId: z.string().regex(/^[A-Z]$/),
});
const gridPos = z.strictObject({
  h: z.int().min(1).max(20),
  w: z.int().min(1).max(24),
  x: z.int().min(0).max(23),
  y: z.int().min(0),
});
const row = z.strictObject({
  id: z.int().min(1),
  type: z.literal('row'),
  title: z.string().min(1),
  collapsed: z.boolean(),
  gridPos,
  panels: z.array(z.never()),
});
const panel = z.strictObject({
  id: z.int().min(1),
  type: z.enum(['stat', 'timeseries']),
  title: z.string().min(1),
  description: z.string(),
  datasource,
  gridPos,
  fieldConfig: z.strictObject({
    defaults: z.looseObject({ unit: z.string().min(1) }),
    overrides: z.array(z.never()),
  }),
  options: z.record(z.string(), z.unknown()),
  targets: z.array(target).min(1),
});
const variable = z.looseObject({ name: z.string().min(1), type: z.enum(['datasource', 'query']) });
const dashboardSchema = z.looseObject({
  uid: z.string().min(1).max(40),
  title: z.string().min(1),
  schemaVersion: z.int().min(36),
  templating: z.strictObject({ list: z.array(variable) }),
  annotations: z.strictObject({ list: z.array(z.looseObject({ expr: z.string().optional() })) }),
  panels: z.array(z.union([row, panel])),
});

export type Panel = z.output<typeof panel>;

export function dashboard() {
  const parsed = dashboardSchema.parse(JSON.parse(monitoringFile('dashboard.json')));
  const panels = parsed.panels.filter((each): each is Panel => each.type !== 'row');
  return { ...parsed, all: parsed.panels, panels };
}

/** A panel's question with what Grafana puts in: everything, and the shortest window that it takes. */
export function askedBy(expr: string): string {
  return expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(service|proxy)\b/g, '.*');
}
