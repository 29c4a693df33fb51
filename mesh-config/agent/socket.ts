import type { Environment } from '../environment.ts'

/**
 * Where an agent listens, and a proxy looks for it, when no file says so: in `/run` for root, else in the user's own
 * run-time folder, else in a folder of the user's in `/tmp`. The folder is the agent's to make, for its owner only.
 */
export function defaultSocket(env: Environment, uid: number): string {
  const given = env.OUTRIGGER_AGENT
  if (given?.startsWith('unix:')) return given.slice('unix:'.length)
  if (uid === 0) return '/run/outrigger/agent.sock'
  const own = env.XDG_RUNTIME_DIR
  return own === undefined || own === '' ? `/tmp/outrigger-${uid}/agent.sock` : `${own}/outrigger/agent.sock`
}
