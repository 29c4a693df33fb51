/**
 * What the documents already have a place for and this version does not do. One line each: when it is built, its line
 * goes, and nothing else in mesh-config changes. The JSON Schema and the reference are marked from the same lines.
 */
export interface NotYet {
  /** Keys from the top, `*` for any name or item. */
  readonly at: string
  /** Which values; absent: any. */
  readonly values?: readonly (string | boolean)[]
  readonly what: string
  readonly instead: string
}

export const refused: readonly NotYet[] = [
  {
    at: 'outbound.*.transparent',
    values: [true],
    what: 'transparent interception',
    instead: 'let the application connect to a listener, with "service:" or by Host',
  },
  { at: 'agent', what: 'the agent', instead: 'write the policies under services:' },
  {
    at: 'services.*.health',
    what: 'active health checking',
    instead: 'rely on outliers:, which ejects endpoints that fail',
  },
]

/** Read and kept, but nothing acts on it: worth a warning, not a refusal. */
export const withoutEffect: readonly NotYet[] = [
  { at: 'services.*.outliers.interval', what: 'interval', instead: 'every answer counts at once' },
]
