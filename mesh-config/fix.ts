type Path = readonly (string | number)[]

/** What makes a warning go away, as data: `lint` shows it as a patch, and `lint --fix` applies it. */
export interface Fix {
  readonly edits: readonly FixEdit[]
  /**
   * There is no other sensible way, and it takes nothing away that had an effect: `--fix` may apply it without asking.
   */
  readonly isSafe: boolean
}

export type FixEdit =
  /** The value at the path becomes another one, or (null) is removed. */
  | { readonly path: Path; readonly to: FixValue | null }
  /** The item of a list stands before another one. */
  | { readonly path: Path; readonly before: number }

export type FixValue = string | number | boolean | readonly FixValue[] | { readonly [key: string]: FixValue }

export function change(path: Path, to: FixValue): Fix {
  return { edits: [{ path, to }], isSafe: true }
}

export function removal(...paths: readonly Path[]): Fix {
  return { edits: paths.map(path => ({ path, to: null })), isSafe: true }
}

export function move(path: Path, before: number): Fix {
  return { edits: [{ path, before }], isSafe: true }
}

/** One after the other. */
export function together(...fixes: readonly Fix[]): Fix {
  return { edits: fixes.flatMap(({ edits }) => edits), isSafe: fixes.every(({ isSafe }) => isSafe) }
}

/** One of several ways, or one that changes what requests see: shown, and not applied. */
export function suggested({ edits }: Fix): Fix {
  return { edits, isSafe: false }
}
