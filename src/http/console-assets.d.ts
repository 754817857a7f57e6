/** Made by `tools/console/build.ts` from `src/console`. */
declare module '*/dist/console/assets.js' {
  /** Of all the texts: changes with each of them. */
  export const version: string;
  export const page: string;
  export const style: string;
  export const app: string;
  export const worklet: string;
}
