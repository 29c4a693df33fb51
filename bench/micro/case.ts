/**
 * What a `*.bench.ts` file exports by name: a function to be called again and again, or, where it needs things
 * prepared, an object whose `setup` gives that function. What the function returns is looked at, so that the compiler
 * cannot drop the work.
 */
export type Case = (() => unknown) | PreparedCase

export interface PreparedCase {
  setup(): () => unknown
  /** How many of the things being measured one call does; 1 if absent. */
  readonly operations?: number
}

export function isCase(value: unknown): value is Case {
  return (
    typeof value === 'function' ||
    (typeof value === 'object' && value !== null && 'setup' in value && typeof value.setup === 'function')
  )
}
