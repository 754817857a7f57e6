import { MediaNodeDouble } from './double.ts';
import type { FromDouble } from './double-process.ts';

/** The double's own process: its one argument is the folder of its configuration. */
const tell = (message: FromDouble) => process.connected && process.send?.(message);
const node = await MediaNodeDouble.start(process.argv[2] ?? '', (line) => tell({ line }));
process.on('message', () => {
  void node.stop().then(() => process.exit(0));
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1));
tell({ ready: true });
