import { expect, test } from 'vitest'
import { applicationEnvironment, sidecarEnvironment } from '../../run/environment.ts'

const env = {
  HOME: '/root',
  PATH: '/bin',
  OUTRIGGER_LOG_LEVEL: 'debug',
  OUTRIGGER_CACHE_FOLDER: '/c',
  NODE_COMPILE_CACHE: '/c',
  OUTRIGGER_SUPERVISOR_FD: '9',
  OUTRIGGER_LAUNCHED: 'child',
  XDG_STATE_HOME: '/srv/state',
}
const user = { uid: 1000, gid: 1000, name: 'app', home: '/home/app' }

test('the application gets its environment, and nothing by which our parts speak', () => {
  expect(applicationEnvironment(env, null)).toEqual({
    HOME: '/root',
    PATH: '/bin',
    OUTRIGGER_LOG_LEVEL: 'debug',
    XDG_STATE_HOME: '/srv/state',
  })
  expect(applicationEnvironment({ ...env, NODE_COMPILE_CACHE: '/own' }, user)).toMatchObject({
    HOME: '/home/app',
    USER: 'app',
    LOGNAME: 'app',
    NODE_COMPILE_CACHE: '/own',
  })
})

test('the sidecar finds its socket, and as another user no folders of root', () => {
  expect(sidecarEnvironment(env, null, 3)).toMatchObject({
    OUTRIGGER_SUPERVISOR_FD: '3',
    XDG_STATE_HOME: '/srv/state',
  })
  const other = sidecarEnvironment(env, { uid: 1337, gid: 1337, name: '', home: '' }, 3)
  expect(Object.keys(other).sort()).toEqual([
    'OUTRIGGER_CACHE_FOLDER',
    'OUTRIGGER_LOG_LEVEL',
    'OUTRIGGER_SUPERVISOR_FD',
    'PATH',
  ])
})
