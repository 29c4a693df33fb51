import { ask } from '../ready.ts'
import { wrk } from '../wrk.ts'
import { startNginx } from './nginx-backends.ts'
import { NO_BODY, type Traffic } from './traffic.ts'

export const http1: Traffic = {
  name: 'http1',
  first: { path: '/', body: NO_BODY },
  startBackends: startNginx,
  ask: (port, { path, body }, timeoutMs) =>
    ask(port, path, {
      method: body.length > 0 ? 'POST' : 'GET',
      body,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    }),
  load: wrk,
}
