import type { User } from './users.ts'

/** Variables by which the parts of Outrigger speak with each other: none is for an application. */
const inner = [
  'OUTRIGGER_SUPERVISOR_FD',
  'OUTRIGGER_LISTENERS',
  'OUTRIGGER_LAUNCHED',
  'OUTRIGGER_CACHE_FOLDER',
] as const

/** The environment of the application: that of the supervisor, without what Outrigger put there. */
export function applicationEnvironment(env: NodeJS.ProcessEnv, user: User | null): NodeJS.ProcessEnv {
  const own = { ...env, ...homeOf(user) }
  // bin/outrigger.js sets it for itself; an application that runs on Node would write to our cache.
  if (env.NODE_COMPILE_CACHE !== undefined && env.NODE_COMPILE_CACHE === env.OUTRIGGER_CACHE_FOLDER)
    delete own.NODE_COMPILE_CACHE
  for (const name of inner) delete own[name]
  return own
}

/** The environment of the sidecar. `fd`: of its socket to the supervisor. */
export function sidecarEnvironment(env: NodeJS.ProcessEnv, user: User | null, fd: number): NodeJS.ProcessEnv {
  const own: NodeJS.ProcessEnv = { ...env, ...homeOf(user), OUTRIGGER_SUPERVISOR_FD: String(fd) }
  delete own.OUTRIGGER_LAUNCHED
  if (user !== null) {
    // They lead to folders of another user. It finds its own.
    for (const name of ['XDG_CACHE_HOME', 'XDG_STATE_HOME', 'XDG_RUNTIME_DIR', 'NODE_COMPILE_CACHE']) delete own[name]
    if (user.home === '') delete own.HOME
  }
  return own
}

/** As login programs set them. */
function homeOf(user: User | null): NodeJS.ProcessEnv {
  if (user === null || user.name === '') return {}
  return { HOME: user.home, USER: user.name, LOGNAME: user.name }
}
