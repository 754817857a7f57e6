import { z } from 'zod';
import { bytesOfText, isDeeperThan } from './json.ts';

/**
 * The JSON Schema (draft 2020-12) of a configured tool's arguments, so far as it is supported: what `z.fromJSONSchema` checks as the
 * standard has it. It passes over much else in silence (a keyword without its `type`, one beside `enum`, a name in `required` that
 * is no property), and a constraint that is written down and not kept is worse than none: all of that is refused here.
 */

const typeNames = ['string', 'number', 'integer', 'boolean', 'null', 'object', 'array'] as const;
type TypeName = (typeof typeNames)[number];

/** They tell the model something, and constrain nothing. */
const annotations = {
  title: z.string().optional(),
  description: z.string().optional(),
  $comment: z.string().optional(),
  default: z.unknown().optional(),
  examples: z.array(z.unknown()).optional(),
};

/** Of those that the standard names, the ones that are checked. */
const formats = ['email', 'uri', 'uuid', 'date-time', 'date', 'time', 'duration', 'hostname', 'ipv4', 'ipv6'];

const count = z.int().min(0).optional();
const limit = z.number().optional();
const oneType = z.enum(typeNames);
const types = z
  .union([oneType, z.array(oneType).min(1).max(typeNames.length)])
  .transform((value) => (Array.isArray(value) ? value : [value]));
const primitive = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** One schema within the schema. */
const node = z.record(z.string(), z.unknown()).superRefine((schema, context) => {
  for (const issue of issuesOf(schema)) {
    context.addIssue({ code: 'custom', message: issue.message, path: [...issue.path] });
  }
});
const anyNode = z.lazy(() => node);

const numeric = {
  minimum: limit,
  maximum: limit,
  exclusiveMinimum: limit,
  exclusiveMaximum: limit,
  multipleOf: z.number().positive().optional(),
};

const keywords: Record<TypeName, z.core.$ZodShape> = {
  string: {
    minLength: count,
    maxLength: count,
    // Run on what a model wrote: one that backtracks without end is the operator's own harm.
    pattern: z.string().max(200).refine(isPattern, { error: 'is no regular expression' }).optional(),
    format: z.enum(formats).optional(),
  },
  number: numeric,
  integer: numeric,
  boolean: {},
  null: {},
  array: { items: anyNode.optional(), minItems: count, maxItems: count, uniqueItems: z.boolean().optional() },
  object: {
    properties: z.record(z.string(), anyNode).optional(),
    required: z.array(z.string()).optional(),
    additionalProperties: z.union([z.boolean(), anyNode]).optional(),
  },
};

const mostBytes = 16 * 1024;
/** Levels of the schema's own JSON. */
const deepest = 32;

/** Checks the JSON Schema itself, of a tool's arguments: of an object, in JSON of at most 16 KiB. */
export const parametersSchema = z
  .record(z.string(), z.unknown())
  // Before anything walks through it.
  .refine((schema) => !isDeeperThan(deepest, schema), {
    error: `is nested more than ${deepest} levels deep`,
    abort: true,
  })
  .refine((schema) => bytesOfText(JSON.stringify(schema)) <= mostBytes, {
    error: `is longer than ${mostBytes} bytes`,
    abort: true,
  })
  .refine((schema) => schema.type === 'object', { error: 'must have "type": "object"', abort: true })
  .transform(({ $schema, ...schema }) => schema)
  .pipe(node);

/** What arguments must be, by a schema that `parametersSchema` has passed. Gives them back as they are. */
export function argumentsSchema(parameters: Record<string, unknown>): z.ZodType {
  const schema = withoutAnnotations(parameters) as Parameters<typeof z.fromJSONSchema>[0];
  return z.fromJSONSchema(schema, { registry: z.registry() });
}

function issuesOf(schema: Record<string, unknown>): readonly z.core.$ZodIssue[] {
  const result = shapeOf(schema).safeParse(schema);
  return result.success ? [] : result.error.issues;
}

/** A schema is one of four: a choice of schemas, of values, something of certain types, or anything. */
function shapeOf(schema: Record<string, unknown>): z.ZodType {
  if ('anyOf' in schema) return strict({ ...annotations, anyOf: z.array(anyNode).min(1).max(20) });
  if ('enum' in schema || 'const' in schema) {
    const shape = { type: types.optional(), enum: z.array(primitive).min(1).max(200).optional() };
    return strict({ ...annotations, ...shape, const: primitive.optional() }).superRefine((value, context) => {
      if ('enum' in value && 'const' in value) context.addIssue('has both "enum" and "const"');
      for (const each of value.enum ?? [value.const ?? null]) {
        if (value.type !== undefined && !value.type.some((type) => isOfType(type, each))) {
          context.addIssue(`${JSON.stringify(each)} is not of its "type"`);
        }
      }
    });
  }
  const shape: z.core.$ZodShape = { ...annotations, type: types.optional() };
  const named = types.safeParse(schema.type);
  for (const type of named.data ?? []) Object.assign(shape, keywords[type]);
  return strict(shape).superRefine((_, context) => {
    const { properties = {}, required = [] } = schema as { properties?: object; required?: string[] };
    for (const name of Object.keys(properties)) {
      // zod finds what every object inherits in place of a property that is absent.
      if (name in Object.prototype) context.addIssue(`${JSON.stringify(name)} cannot be a property`);
    }
    for (const name of required) {
      if (!Object.hasOwn(properties, name)) {
        context.addIssue(`${JSON.stringify(name)} is required, but none of its "properties"`);
      }
    }
  });
}

function strict<Shape extends z.core.$ZodShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `not supported, or not with this "type": ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`
        : undefined,
  });
}

function isOfType(type: TypeName, value: unknown): boolean {
  if (value === null) return type === 'null';
  if (type === 'integer') return Number.isInteger(value);
  return type === typeof value;
}

function isPattern(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}

/** A default that were filled in would make a property that is required optional. */
function withoutAnnotations(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  const { properties, items, additionalProperties, anyOf, ...rest } = schema as Record<string, unknown>;
  for (const name of Object.keys(annotations)) delete rest[name];
  if (properties !== undefined) {
    rest.properties = Object.fromEntries(
      Object.entries(properties as object).map(([name, each]) => [name, withoutAnnotations(each)]),
    );
  }
  if (items !== undefined) rest.items = withoutAnnotations(items);
  if (additionalProperties !== undefined)
    rest.additionalProperties = withoutAnnotations(additionalProperties);
  if (anyOf !== undefined) rest.anyOf = (anyOf as unknown[]).map(withoutAnnotations);
  return rest;
}
