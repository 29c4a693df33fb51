import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type Consul from 'consul'
import type { ConsulSpec } from '../../../mesh-config/snapshot.ts'
import { connectionTrouble } from '../connection-trouble.ts'
import { tokenOf } from '../token.ts'
import { firstLine, messageOf } from '../words.ts'
import { connectionsAllowed } from './agent.ts'
import { type Answer, type Asked, answerOf, ConsulTrouble, isCrowdedOut } from './answer.ts'
import type { ConsulClient, ConsulDeps, Crowd, Pulse, Where } from './consul-client.ts'
import { crowdOf } from './crowd.ts'
import { parking } from './parking.ts'
import { pulseOf } from './pulse.ts'
import { type Transports, transports } from './transport.ts'

const beats = { passing: 'pass', warning: 'warn', critical: 'fail' } as const

/** For queries that are answered at once. */
const QUICK_TIMEOUT_MS = 10_000
/** Consul prolongs a wait by up to a sixteenth. */
const timeoutOf = (waitMs: number) => waitMs + waitMs / 16 + QUICK_TIMEOUT_MS

/** What the package hands to papi, its HTTP client, as `ctx`: an emitter whose `cancel` aborts the request. */
interface Context extends EventEmitter {
  readonly includeResponse: true
  canceled: boolean
  parked: boolean
}

interface CallOptions {
  readonly ctx: Context
  readonly token?: string
}

/** Methods of papi that the package's types leave out. */
interface Papi {
  _get(request: object, after: unknown): Promise<unknown>
  _put(request: object, after: unknown): Promise<unknown>
  _ext(event: 'onRequest', step: (request: { ctx: Context; transport: unknown }, next: () => void) => void): void
}

type Send = (consul: Consul & Papi, options: CallOptions) => Promise<unknown>

export function consulClient(spec: ConsulSpec, deps: ConsulDeps): ConsulClient {
  const { clock, log } = deps
  const wires = transports(spec, deps)
  const token = tokenOf(spec, 'Consul', { clock, log })
  const parked = parking(clock)
  const crowds = new Map<string, Crowd>()
  const pulses = new Map<string, Pulse>()
  const end = new AbortController()
  const underWay = new Set<() => void>()
  let loading: Promise<Consul & Papi> | null = null

  async function call(what: string, send: Send, signal: AbortSignal, waitMs = 0): Promise<Answer> {
    const ctx: Context = Object.assign(new EventEmitter(), {
      includeResponse: true,
      canceled: false,
      parked: waitMs > 0,
    } as const)
    const cancel = () => {
      ctx.canceled = true
      ctx.emit('cancel')
    }
    const timeoutMs = timeoutOf(waitMs)
    let late = false
    const timer = clock.timer(() => {
      late = true
      cancel()
    })
    try {
      loading ??= load(spec, wires)
      const consul = await loading
      if (signal.aborted || end.signal.aborted) throw new ConsulTrouble(`${what}: no longer wanted`, 0)
      signal.addEventListener('abort', cancel)
      underWay.add(cancel)
      timer.arm(timeoutMs)
      const secret = secretOf(token)
      const [{ headers, body = '' }] = (await send(consul, { ctx, ...(secret === '' ? {} : { token: secret }) })) as [
        IncomingMessage & { body?: Buffer | string },
      ]
      return answerOf(headers, typeof body === 'string' ? Buffer.from(body) : body)
    } catch (error) {
      const trouble = late
        ? new ConsulTrouble(
            `Consul at ${spec.address} has not answered within ${Math.round(timeoutMs / 1000)} s (${what})`,
            0,
          )
        : troubleOf(error, what)
      if (isCrowdedOut(trouble)) parked.crowdedOut()
      throw trouble
    } finally {
      timer.cancel()
      underWay.delete(cancel)
      signal.removeEventListener('abort', cancel)
    }
  }

  function troubleOf(error: unknown, what: string): ConsulTrouble {
    if (error instanceof ConsulTrouble) return error
    // The package also attaches the response to an error in the middle of an answer.
    const refused = error instanceof Error && 'isResponse' in error && 'response' in error
    if (!refused)
      return new ConsulTrouble(`Consul at ${spec.address} ${connectionTrouble(error, 'an agent')} (${what})`, 0)
    const response = error.response as { readonly statusCode: number; readonly body?: Buffer | string }
    const said = firstLine(String(response.body ?? ''))
    return new ConsulTrouble(statusText(response.statusCode, said, what, spec), response.statusCode, said)
  }

  const self: ConsulClient = {
    spec,
    health: (name, where, asked, signal) =>
      call(
        `instances of ${name}`,
        (consul, options) => consul.health.service({ ...options, ...queryOf(where, asked), service: name }),
        signal,
        waitOf(asked),
      ),
    checks: (filter, where, asked, signal) =>
      call(
        'checks',
        (consul, options) => consul.health.state({ ...options, ...queryOf(where, asked), state: 'any', filter }),
        signal,
        waitOf(asked),
      ),
    services: (where, asked, signal) =>
      call(
        'names of services',
        (consul, options) => consul.catalog.service.list({ ...options, ...queryOf(where, asked) }),
        signal,
        waitOf(asked),
      ),
    // Queries that ask for the nearest first are not answered from a copy.
    servers: (where, asked, signal) =>
      call(
        'the servers',
        (consul, options) =>
          consul.health.service({ ...options, ...queryOf(where, asked), service: 'consul', near: '_agent' }),
        signal,
        waitOf(asked),
      ),
    async self(signal) {
      const answer = await call('the agent', (consul, options) => consul.agent.self(options), signal)
      const allowed = connectionsAllowed(answer)
      if (allowed !== null) parked.allow(allowed)
      return answer
    },
    // The package only has the list of services of the agent.
    agentService(id, contentHash, waitMs, signal) {
      const query = contentHash === '' ? {} : { hash: contentHash, wait: `${Math.round(waitMs)}ms` }
      return call(`instance ${id}`, get('/agent/service/{id}', { id }, query), signal, contentHash === '' ? 0 : waitMs)
    },
    async agentHealth(id, signal) {
      try {
        await call(`health of ${id}`, get('/agent/health/service/id/{id}', { id }, { format: 'text' }), signal)
        return 'passing'
      } catch (error) {
        if (!(error instanceof ConsulTrouble)) throw error
        // By its text: a rate limit answers 429 too, and a proxy before Consul 503.
        if (/^(warning|critical|maintenance)$/.test(error.said)) return error.said
        if (error.status === 404) return ''
        throw error
      }
    },
    // The package drops weights and cannot replace checks.
    async register(definition, signal) {
      const request = {
        name: 'register',
        path: '/agent/service/register',
        query: { 'replace-existing-checks': 'true' },
        type: 'json',
        body: definition,
      }
      await call(
        'registering',
        (consul, { ctx, token: secret }) => consul._put({ ...request, ctx, headers: tokenHeader(secret) }, handOver),
        signal,
      )
    },
    async deregister(id, signal) {
      await call(
        `deregistering ${id}`,
        (consul, options) => consul.agent.service.deregister({ ...options, id }),
        signal,
      )
    },
    async heartbeat(checkId, status, note, signal) {
      const beat: Send = (consul, options) => consul.agent.check[beats[status]]({ ...options, id: checkId, note })
      await call('heartbeat', beat, signal)
    },
    parking: parked,
    crowd: where => once(crowds, where, () => crowdOf(self, where, deps)),
    pulse: where => once(pulses, where, () => pulseOf(self, where, deps)),
    closed: end.signal,
    close() {
      end.abort()
      for (const cancel of underWay) cancel()
      wires.close()
    },
  }
  return self
}

/** One for each datacenter. */
function once<T>(made: Map<string, T>, { datacenter }: Where, make: () => T): T {
  const known = made.get(datacenter ?? '')
  if (known !== undefined) return known
  const fresh = make()
  made.set(datacenter ?? '', fresh)
  return fresh
}

/** Loaded on first use: a sidecar without Consul does not need it. */
async function load({ address }: ConsulSpec, wires: Transports): Promise<Consul & Papi> {
  const { default: Client } = (await import('consul')) as unknown as { default: new (options: object) => Consul & Papi }
  // Bodies are parsed when they are needed: an answer without news never is.
  const consul = new Client({
    baseUrl: `${address}/v1`,
    headers: { 'user-agent': 'outrigger' },
    decoders: { 'application/json': (body: Buffer) => body },
  })
  consul._ext('onRequest', (request, next) => {
    request.transport = request.ctx.parked ? wires.parked : wires.quick
    next()
  })
  return consul
}

/** What is wrong with its file is all that there is to say. */
function secretOf(token: () => string): string {
  try {
    return token()
  } catch (error) {
    throw new ConsulTrouble(messageOf(error), 0)
  }
}

function queryOf({ datacenter }: Where, { index, waitMs, stale }: Asked): object {
  const waiting = index === 0 ? {} : { index: String(index), wait: `${Math.round(waitMs)}ms` }
  return { ...waiting, ...(datacenter === null ? {} : { dc: datacenter }), ...(stale ? { stale: true } : {}) }
}

function waitOf({ index, waitMs }: Asked): number {
  return index === 0 ? 0 : waitMs
}

function tokenHeader(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { 'x-consul-token': token }
}

function get(path: string, params: Readonly<Record<string, string>>, query: Readonly<Record<string, string>>): Send {
  return (consul, { ctx, token }) =>
    consul._get({ name: path, path, params, query, ctx, headers: tokenHeader(token) }, handOver)
}

/** The last step of the package's own calls with `includeResponse`. */
function handOver(
  request: { err?: Error & { response?: unknown }; res: unknown },
  next: (stop: false, error?: Error, value?: unknown) => void,
): void {
  if (request.err === undefined) return next(false, undefined, [request.res])
  request.err.response = request.res
  next(false, request.err)
}

function statusText(status: number, said: string, what: string, { address, token, tokenFile }: ConsulSpec): string {
  const text = said === '' ? '' : `: ${said}`
  if (status === 401 || status === 403) {
    const which =
      tokenFile !== null
        ? `the token in ${tokenFile}`
        : token !== null
          ? 'the configured token'
          : 'no token is configured, and the anonymous one'
    return `Consul at ${address} denies it (${what}, ${status}${text}): ${which} lacks rights; service:read and node:read are needed, and service:write to register`
  }
  const remedy = said.includes('concurrent connections')
    ? ' (limits.http_max_conns_per_client of the agent is shared by all on this host)'
    : ''
  return `Consul at ${address} answers ${status}${text} (${what})${remedy}`
}
