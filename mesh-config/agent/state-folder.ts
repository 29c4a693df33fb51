import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from '../environment.ts'

/**
 * The folder for what must outlive an agent: as its file says, else one in the StateDirectory= of its systemd unit, else
 * one of the user. Null: a user without a home, as in containers that run under a user number only.
 */
export function agentState(written: string | undefined, env: Environment): string | null {
  if (written !== undefined) return written
  const ofUnit = env.STATE_DIRECTORY?.split(':')[0]
  if (ofUnit !== undefined && ofUnit !== '') return join(ofUnit, 'agent')
  try {
    return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'outrigger', 'agent')
  } catch {
    return null
  }
}
