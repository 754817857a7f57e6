import { describe, expect, it } from 'vitest';
import { argumentsSchema, parametersSchema } from '../../../src/tools/json-schema.ts';

const booking = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  description: 'A booking.',
  properties: {
    day: { type: 'string', format: 'date', description: 'The day.' },
    seats: { type: 'integer', minimum: 1, maximum: 12, default: 2 },
    name: { type: ['string', 'null'], minLength: 1, maxLength: 40, pattern: '^[A-Z]' },
    where: { enum: ['inside', 'outside'] },
    wishes: { type: 'array', items: { type: 'string' }, maxItems: 2, uniqueItems: true },
    contact: {
      anyOf: [
        {
          type: 'object',
          properties: { phone: { type: 'string' } },
          required: ['phone'],
          additionalProperties: false,
        },
        { const: 'none' },
      ],
    },
  },
  required: ['day', 'seats'],
  additionalProperties: false,
};

function accepts(schema: Record<string, unknown>, value: unknown): boolean {
  return argumentsSchema(parametersSchema.parse(schema)).safeParse(value).success;
}

const issuesOf = (schema: unknown) =>
  (parametersSchema.safeParse(schema).error?.issues ?? []).map(
    (issue) => `${issue.path.join('.')}: ${issue.message}`,
  );

const object = (properties: Record<string, unknown>) => ({ type: 'object', properties });

describe('a configured JSON Schema', () => {
  const fits = {
    day: '2026-11-21',
    seats: 4,
    name: null,
    where: 'inside',
    wishes: ['a', 'b'],
    contact: { phone: '1' },
  };

  it('lets through what fits, as it is', () => {
    const schema = argumentsSchema(parametersSchema.parse(booking));
    expect(schema.parse(fits)).toEqual(fits);
    // What a default says is for the model: filled in, it would be an argument that nobody gave.
    expect(
      argumentsSchema(parametersSchema.parse(object({ a: { type: 'integer', default: 1 } }))).parse({}),
    ).toEqual({});
  });

  it.each([
    ['a property that is required, with a default or without', { seats: undefined }],
    ['a format', { day: 'Friday' }],
    ['a type', { seats: '4' }],
    ['an integer', { seats: 1.5 }],
    ['a bound', { seats: 13 }],
    ['a pattern', { name: 'ada' }],
    ['an enum', { where: 'roof' }],
    ['unique items', { wishes: ['a', 'a'] }],
    ['the type of an item', { wishes: [1] }],
    ['a schema within anyOf', { contact: { phone: '1', more: 1 } }],
    ['unknown properties', { more: 1 }],
  ])('is not passed over in silence: %s', (_, wrong) => {
    expect(accepts(booking, { ...fits, ...wrong })).toBe(false);
  });

  it('keeps properties of an open object, but not one that changes the prototype', () => {
    const open = argumentsSchema(parametersSchema.parse({ type: 'object' }));
    const read = open.parse(JSON.parse('{"a":1,"__proto__":{"admin":true}}')) as { admin?: boolean };
    expect(read).toEqual({ a: 1 });
    expect(read.admin).toBeUndefined();
  });

  it.each([
    [
      'a keyword that is not supported',
      object({ a: { oneOf: [{ type: 'string' }] } }),
      'properties.a: not supported, or not with this "type": "oneOf"',
    ],
    ['a reference', object({ a: { $ref: '#/$defs/a' } }), '"$ref"'],
    ['a condition', { type: 'object', if: {}, else: {} }, '"if", "else"'],
    ['a keyword that is misspelt', object({ a: { type: 'string', maxLenght: 3 } }), '"maxLenght"'],
    ['a keyword of another type', object({ a: { type: 'string', maximum: 3 } }), '"maximum"'],
    ['a keyword without its type', object({ a: { properties: {} } }), '"properties"'],
    ['a keyword beside enum', object({ a: { enum: ['x'], maxLength: 3 } }), '"maxLength"'],
    ['a type beside anyOf', object({ a: { type: 'string', anyOf: [{}] } }), '"type"'],
    [
      'a value that is not of its type',
      object({ a: { type: 'string', enum: ['x', 1] } }),
      '1 is not of its "type"',
    ],
    ['an object as a value', object({ a: { const: {} } }), 'properties.a.const'],
    ['a required property that there is not', { type: 'object', required: ['a'] }, '"a" is required'],
    ['a name that every object has', object({ constructor: {} }), '"constructor" cannot be a property'],
    [
      'a format that is not checked',
      object({ a: { type: 'string', format: 'phone' } }),
      'properties.a.format',
    ],
    ['a pattern that is none', object({ a: { type: 'string', pattern: '(' } }), 'is no regular expression'],
    [
      'what is wrong deep inside',
      object({ a: { type: 'array', items: object({ b: { type: 'text' } }) } }),
      'properties.a.items.properties.b.type',
    ],
    ['no object', { type: 'array' }, 'must have "type": "object"'],
    ['no JSON object', [], 'Invalid input'],
    ['a schema without end', object({ a: { description: 'x'.repeat(17_000) } }), 'longer than 16384 bytes'],
  ])('is refused when it is configured: %s', (_, schema, message) => {
    expect(issuesOf(schema).join('\n')).toContain(message);
  });

  it('is refused where it is nested without end, without running out of stack', () => {
    const text = `${'{"type":"array","items":'.repeat(600)}{}${'}'.repeat(600)}`;
    expect(issuesOf({ type: 'object', properties: { a: JSON.parse(text) } })).toEqual([
      ': is nested more than 32 levels deep',
    ]);
  });
});
