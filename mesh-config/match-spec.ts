/** Which requests a route, or a rule, is for. */

export interface MatchSpec {
  /** Against the path without its query. */
  readonly path: {
    readonly kind: 'exact' | 'prefix' | 'regex'
    readonly value: string
    /** Small and capital letters are the same; absent: they are not. */
    readonly ignoreCase?: boolean
  }
  /** Empty: any. */
  readonly methods: readonly string[]
  /** Names in lower case. */
  readonly headers: readonly ValueMatchSpec[]
  readonly query: readonly ValueMatchSpec[]
}

export interface ValueMatchSpec {
  readonly name: string
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex' | 'present' | 'absent'
  /** Empty for present and absent. */
  readonly value: string
  /** There must be a value, and another one; absent: it must be as `kind` says. */
  readonly invert?: boolean
}
