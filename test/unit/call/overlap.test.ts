import { describe, expect, it } from 'vitest';
import { type OverlapKind, overlapKind } from '../../../src/call/overlap.ts';

describe('what a caller says over the agent', () => {
  const agent = 'We are open Tuesday to Saturday. On Saturday it is ten to four.';
  const cases: [string, string, OverlapKind][] = [
    ['Uh-huh.', agent, 'backchannel'],
    ['Okay.', agent, 'backchannel'],
    ['Yeah, right.', agent, 'backchannel'],
    ['All right.', agent, 'backchannel'],
    ['Yes, sir.', agent, 'backchannel'],
    ["Okay, ma'am.", agent, 'backchannel'],
    ['Eh.', agent, 'backchannel'],
    ['', agent, 'backchannel'],
    ['Sir?', agent, 'speech'],
    ['Okay, but what about Sunday?', agent, 'speech'],
    ['No.', agent, 'speech'],
    ['Stop.', agent, 'speech'],
    ['Wait, wait.', agent, 'speech'],
    ['Okay okay okay okay okay okay.', agent, 'speech'],
    ['Open Tuesday to Saturday', agent, 'echo'],
    ['We are open Tuesday to Satan day', agent, 'echo'],
    ['Saturday', agent, 'speech'],
    ['Are you open on Sunday?', agent, 'speech'],
    ['Yes.', 'Shall I book that for you?', 'speech'],
    ['Yes.', 'Shall I book that for you? It costs ten euros a month.', 'speech'],
    ['A large one.', 'Would you like a small or a large one?', 'speech'],
    ['Uh-huh.', 'Shall I book that for you?', 'speech'],
  ];
  it.each(cases)('%j over %j is %s', (text, over, kind) => {
    expect(overlapKind(text, over)).toBe(kind);
  });
});
