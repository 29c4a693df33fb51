import pc from 'picocolors'

export interface Output {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export type Colours = ReturnType<typeof pc.createColors>

/** Colours only for a terminal, and never when the user turns them off (no-color.org). */
export function colours(output: Output, env: Readonly<Record<string, string | undefined>>): Colours {
  return pc.createColors(
    (output.isTTY === true && env.TERM !== 'dumb' && !env.NO_COLOR) || (env.FORCE_COLOR ?? '0') !== '0',
  )
}
