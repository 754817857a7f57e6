import { type Aliases, type OwnModel, ownModels } from '../options.ts';
import { apiErrors } from './api-error.ts';

/** A model as `GET /v1/models` has it. */
export interface ModelEntry {
  id: string;
  object: 'model';
  /** Seconds since the Unix epoch: when this server was started. */
  created: number;
  /** `ai-call-handler`, with the own name behind an alias. */
  owned_by: string;
}

/** The models of one server, under their own names and the aliases. */
export class Models {
  readonly #names = new Map<string, OwnModel>();
  readonly #created: number;

  constructor(aliases: Aliases, nowMs: number) {
    for (const [alias, model] of Object.entries(aliases)) this.#names.set(alias, model);
    for (const model of ownModels) this.#names.set(model, model);
    this.#created = Math.floor(nowMs / 1000);
  }

  list(): ModelEntry[] {
    return [...this.#names.keys()].map((name) => this.entry(name));
  }

  /** @throws {ApiError} 404 for a name that is none. */
  entry(name: string): ModelEntry {
    const model = this.#names.get(name);
    if (model === undefined) throw apiErrors.unknownModel(name);
    const owner = model === name ? 'ai-call-handler' : `ai-call-handler/${model}`;
    return { id: name, object: 'model', created: this.#created, owned_by: owner };
  }

  /** @throws {ApiError} 404 if `name` is unknown or not a name of `model`. */
  demand(name: string, model: OwnModel, path: string): void {
    const found = this.#names.get(name);
    if (found === undefined) throw apiErrors.unknownModel(name);
    if (found !== model) throw apiErrors.wrongModel(name, path);
  }
}
