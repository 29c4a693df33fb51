import * as z from 'zod'
import { durationMs } from './duration.ts'
import type { ApplicationCheckSpec } from './snapshot.ts'
import { statuses, statusRange } from './status-range.ts'
import { anyText, duration, setting, text } from './values.ts'

/** The `check` of an inbound application (listeners.ts): whether it is ready for requests. */

const SHORTEST_MS = 100

const forms = {
  http: setting(
    text(/^\/[\x21-\x7e]*$/, 'a path', 'a path such as /healthz').optional(),
    'GET of this path, by HTTP/1.1.',
  ),
  grpc: setting(
    text(/^[\x21-\x7e]{0,100}$/, 'a gRPC service', 'a name such as shop.Orders, or "" for the whole server').optional(),
    'Asks the gRPC health service (grpc.health.v1) for this service; `""`: for the whole server.',
  ),
  command: setting(
    z.array(anyText('a word')).min(1).optional(),
    'Runs this command, without a shell, as the user of the sidecar: exit code 0 is ready.',
  ),
}

const map = z
  .strictObject({
    ...forms,
    status: setting(
      statuses().default(['200-399']),
      'With `http`: the statuses that say ready.',
      'as the probes of Kubernetes have it',
    ),
    interval: setting(
      duration('refused').default('2s'),
      'Between two checks while it is ready, give or take a tenth. While it is not, they come every 500 ms, and every 100 ms in the first seconds; where the interval is shorter, that counts.',
      'a dead application is known within seconds, for next to no load',
    ),
    timeout: setting(
      duration('refused').default('1s'),
      'A check that takes longer has failed.',
      'a check that takes a second on one machine says that something is wrong',
    ),
    failures: setting(
      z.int().min(1).max(100).default(3),
      'So many failures in a row make it not ready.',
      'a single one says little: its connection queue may have been full',
    ),
    successes: setting(
      z.int().min(1).max(100).default(1),
      'So many successes in a row make it ready again. The first time one is enough.',
      'it says itself that it is ready',
    ),
  })
  .superRefine(({ http, grpc, command, interval }, context) => {
    const wrong = (what: string, fix: string) => context.addIssue({ code: 'custom', params: { wrong: { what, fix } } })
    const given = Object.entries({ http, grpc, command }).flatMap(([form, value]) =>
      value === undefined ? [] : [form],
    )
    if (given.length > 1)
      wrong(
        `${given.join(' and ')} exclude each other`,
        'write one of them, or none to check that the port takes connections',
      )
    if (context.issues.length === 0 && durationMs(interval) < SHORTEST_MS)
      wrong('interval is too short', `write at least ${SHORTEST_MS}ms`)
  })

export const applicationCheck = z.union([z.enum(['off']), map]).prefault({})

export type ApplicationCheckDocument = z.output<typeof applicationCheck>

/** Null: it is off. */
export function compileApplicationCheck(check: ApplicationCheckDocument): ApplicationCheckSpec | null {
  if (check === 'off') return null
  const { http, status, grpc, command, interval, timeout, failures, successes } = check
  const times = { intervalMs: durationMs(interval), timeoutMs: durationMs(timeout), failures, successes }
  if (http !== undefined)
    return { kind: 'http', path: http, statuses: status.map(each => statusRange(String(each))), ...times }
  if (grpc !== undefined) return { kind: 'grpc', service: grpc, ...times }
  if (command !== undefined) return { kind: 'command', command, ...times }
  return { kind: 'port', ...times }
}
