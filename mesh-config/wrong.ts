/**
 * Why a check refuses a value. issue.ts puts the message together, because only there it is known whether the value may
 * be shown: `{value}` in `what` stands for it.
 */
export interface Wrong {
  readonly what: string
  /** What to write, in general. */
  readonly fix: string
  /** What was probably meant, derived from the value: left out when the value may be a secret. */
  readonly meant?: string | null
  /** The value is of another kind (a map where a text belongs): of several allowed forms, another was meant. */
  readonly otherForm?: boolean
}

export type Check = (input: unknown) => Wrong | null
