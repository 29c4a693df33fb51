import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from '../environment.ts'

/**
 * The folder for what must outlive the agent: that of the file, relative to `base`; else `agent` in the folder of
 * systemd, else in that of the user. Null: there is none (`off`, or a user without a home).
 */
export function agentState(written: string | undefined, base: string, env: Environment): string | null {
  if (written === 'off') return null
  if (written !== undefined) return resolve(base, written)
  if (env.STATE_DIRECTORY) return join(env.STATE_DIRECTORY.split(':')[0]!, 'agent')
  if (env.XDG_STATE_HOME) return join(env.XDG_STATE_HOME, 'outrigger', 'agent')
  const home = env.HOME || homedir()
  return home.startsWith('/') && home !== '/' ? join(home, '.local', 'state', 'outrigger', 'agent') : null
}
