import type { Output } from './colours.ts'

/** What the command `config` touches of its surroundings. */
export interface ConfigSurroundings {
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  exitCode?: typeof process.exitCode
}
