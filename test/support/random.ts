export { seeded } from '../../tools/load/random.ts';
