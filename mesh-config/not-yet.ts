/**
 * Settings that the documents accept and this version does not implement, a line each. When one is implemented its line
 * is removed, and nothing else in mesh-config changes. The JSON Schema and the reference are marked from the same
 * lines.
 */
export interface NotYet {
  /** The path of the key; `*` is any name or item. */
  readonly at: string
  /** The values concerned; absent: any. */
  readonly values?: readonly (string | boolean)[]
  readonly what: string
  readonly instead: string
}

export const refused: readonly NotYet[] = []

/** Accepted without effect: worth a warning, not a refusal. */
export const withoutEffect: readonly NotYet[] = []
