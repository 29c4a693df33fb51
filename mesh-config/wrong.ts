/**
 * What a check of a single value says when it refuses it. The message is put together elsewhere (issue.ts), because
 * only there is it known whether the value may be shown: `{value}` in `what` stands for it.
 */
export interface Wrong {
  readonly what: string
  /** What would be right, said in general. */
  readonly fix: string
  /** What was probably meant, made from the value itself: left out when the value may be a secret. */
  readonly meant?: string | null
  /**
   * It is not even the right kind of thing (a map where a text belongs): of several forms that are allowed, another was
   * meant.
   */
  readonly otherForm?: boolean
}

export type Check = (input: unknown) => Wrong | null
