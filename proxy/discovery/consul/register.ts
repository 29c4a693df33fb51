import type { RegisterSpec } from '../../../mesh-config/snapshot.ts'
import { backOffMs, pause } from '../pause.ts'
import { messageOf } from '../words.ts'
import { ConsulTrouble, isDenied } from './answer.ts'
import type { CheckStatus, ConsulClient, ConsulDeps } from './consul-client.ts'
import { checkIdOf, definitionOf, idOf } from './definition.ts'

/** A registration that one process made and another goes on with. */
export interface Adopted {
  /** `definitionOf` as JSON. */
  readonly definition: string
  /** Of the check, as it was sent last. */
  readonly status: string
}

export interface Registration {
  start(adopted?: Adopted | null): void
  /** Stops without a word to Consul; null: the instance is not registered. */
  release(): Promise<Adopted | null>
  /** Deregisters the instance; resolves after two seconds at the latest, also when Consul does not answer. */
  stop(): Promise<void>
  state(): RegistrationState
}

export interface RegistrationState {
  /** As far as is known here. */
  readonly registered: boolean
  /** Why it is not registered, or why its state cannot be sent; empty: nothing is wrong. */
  readonly trouble: string
}

export interface RegistrationDeps extends ConsulDeps {
  /** Whether this sidecar is ready, for the heartbeat. */
  readonly ready: () => boolean
  /** Whether the application is ready, for the heartbeat. */
  readonly application?: ApplicationReadiness
}

export interface ApplicationReadiness {
  ready(): boolean
  /** Why it is not, for people; empty: it is. */
  trouble(): string
  /** Resolves with the first result. */
  first(): Promise<void>
}

/** The check that is off. */
const unchecked: ApplicationReadiness = { ready: () => true, trouble: () => '', first: () => Promise.resolve() }

const NOT_REGISTERED = 'this instance cannot be registered with Consul'
const NOT_KNOWN = 'whether this instance is still registered with Consul is not known'
const NO_HEARTBEAT = 'the heartbeat of this instance cannot be sent'

const STOP_MS = 2_000
/** How often to ask whether the agent still has the instance; it answers earlier when that changes. */
const PRESENCE_MS = 10_000
/** How often readiness is read; a change sends a heartbeat. */
const READY_MS = 250
const MAX_BACK_OFF_MS = 30_000
/** A failed heartbeat is sent again well before the next one. */
const MAX_HEARTBEAT_BACK_OFF_MS = 2_000

/** Keeps one instance registered: registers it again whenever the agent has lost it. */
export function registration(spec: RegisterSpec, client: ConsulClient, deps: RegistrationDeps): Registration {
  const { clock, random, log, ready } = deps
  const id = idOf(spec)
  const facts = { service: spec.name, id }
  const application = spec.check.kind === 'ttl' && spec.check.application ? (deps.application ?? unchecked) : unchecked
  const end = new AbortController()
  let running: Promise<void> | null = null
  let registered = false
  /** What failed, and why. */
  const troubles = new Map<string, string>()
  /** The last result of the check, for an agent that has lost it. */
  let status: CheckStatus | '' = ''
  /** When the agent heard of this instance as it was registered; long ago: from an earlier process. */
  let heardAt = 0

  function troubled(what: string, error: unknown): void {
    const reason = messageOf(error)
    if (troubles.get(what) !== reason) log.warn(`${what}: ${reason}`, facts)
    troubles.set(what, reason)
  }

  async function run(signal: AbortSignal, adopted: Adopted | null): Promise<void> {
    await application.first()
    let isOurs = adopted !== null && adopt(adopted)
    while (!signal.aborted) {
      if (!isOurs) await register(signal)
      isOurs = false
      if (signal.aborted) return
      const lost = new AbortController()
      const both = AbortSignal.any([signal, lost.signal])
      const watches = [keepPresent(both), ...(spec.check.kind === 'ttl' ? [beat(spec.check.ttlMs / 3, both)] : [])]
      await Promise.all(watches.map(watch => watch.then(() => lost.abort())))
      if (signal.aborted) return
      registered = false
      log.warn('the Consul agent has lost this instance: it is registered again', facts)
    }
  }

  /** True: what is registered is what this process would register. */
  function adopt(adopted: Adopted): boolean {
    status = isStatus(adopted.status) ? adopted.status : ''
    registered = adopted.definition === JSON.stringify(definitionOf(spec, ''))
    heardAt = Number.NEGATIVE_INFINITY
    if (registered) log.info('the registration with Consul is taken over', { ...facts, port: spec.port })
    return registered
  }

  async function register(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (spec.check.kind === 'ttl') status = stateNow()
        await client.register(definitionOf(spec, status), signal)
        registered = true
        heardAt = clock.now()
        troubles.clear()
        log.info('registered with Consul', { ...facts, port: spec.port })
        return
      } catch (error) {
        if (signal.aborted) return
        failures++
        if (failures > 1 || isDenied(error)) troubled(NOT_REGISTERED, error)
        await pause(clock, backOffMs(failures, MAX_BACK_OFF_MS, random), signal)
      }
    }
  }

  /** Resolves when the agent no longer has the instance, or the signal aborts. */
  async function keepPresent(signal: AbortSignal): Promise<void> {
    let contentHash = ''
    for (let failures = 0; !signal.aborted; ) {
      const begunAt = clock.now()
      try {
        const answer = await client.agentService(id, contentHash, PRESENCE_MS, signal)
        contentHash = answer.contentHash
        // For other kinds only the agent knows the result of the check.
        if (spec.check.kind !== 'ttl') {
          const health = await client.agentHealth(id, signal)
          if (health === '') return
          status = health === 'passing' || health === 'warning' ? health : ''
        }
        failures = 0
        troubles.delete(NOT_KNOWN)
        // An agent without content hashes answers at once.
        await pause(clock, (contentHash === '' ? PRESENCE_MS : PRESENCE_MS / 10) - (clock.now() - begunAt), signal)
      } catch (error) {
        if (signal.aborted || isUnknown(error)) return
        failures++
        contentHash = ''
        if (failures > 1) troubled(NOT_KNOWN, error)
        await pause(clock, backOffMs(failures, MAX_BACK_OFF_MS, random), signal)
      }
    }
  }

  /** Sends three heartbeats in each TTL, and one as soon as readiness changes. Resolves as `keepPresent` does. */
  async function beat(everyMs: number, signal: AbortSignal): Promise<void> {
    let sentAt = heardAt
    for (let failures = 0; !signal.aborted; ) {
      if (failures > 0)
        await pause(clock, backOffMs(failures, Math.min(everyMs, MAX_HEARTBEAT_BACK_OFF_MS), random), signal)
      else
        while (!signal.aborted && clock.now() < sentAt + everyMs && stateNow() === status)
          await pause(clock, READY_MS, signal)
      if (signal.aborted) return
      try {
        await send(stateNow(), signal)
        sentAt = clock.now()
        failures = 0
        troubles.delete(NO_HEARTBEAT)
      } catch (error) {
        if (signal.aborted || isUnknown(error)) return
        failures++
        if (failures > 1 || isDenied(error)) troubled(NO_HEARTBEAT, error)
      }
    }
  }

  /** Before the sidecar is ready for the first time the check stays critical, as registered. */
  function stateNow(): CheckStatus | '' {
    if (!application.ready()) return 'critical'
    return ready() ? 'passing' : status === '' ? '' : 'warning'
  }

  async function send(state: CheckStatus | '', signal: AbortSignal): Promise<void> {
    if (state === '') return
    const note =
      application.trouble() ||
      (state === 'passing' ? 'the sidecar serves' : 'the sidecar is not ready: its admin page /ready says why')
    await client.heartbeat(checkIdOf(spec), state, note, signal)
    status = state
  }

  async function deregister(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await client.deregister(id, signal)
        return log.info('deregistered from Consul', facts)
      } catch (error) {
        if (isUnknown(error)) return
        failures++
        if (signal.aborted || isDenied(error))
          return log.warn(`this instance could not be deregistered: ${messageOf(error)}`, facts)
        await pause(clock, backOffMs(failures, STOP_MS / 4, random), signal)
      }
    }
    log.warn('this instance could not be deregistered in time: Consul finds out by its check', facts)
  }

  return {
    start(adopted = null) {
      running ??= run(end.signal, adopted)
    },
    async release() {
      end.abort()
      await running
      return registered ? { definition: JSON.stringify(definitionOf(spec, '')), status } : null
    },
    async stop() {
      end.abort()
      if (running === null) return
      const limit = new AbortController()
      const timer = clock.timer(() => limit.abort())
      timer.arm(STOP_MS)
      await running
      await deregister(limit.signal)
      timer.cancel()
      registered = false
    },
    state: () => ({ registered, trouble: [...troubles].map(([what, reason]) => `${what}: ${reason}`)[0] ?? '' }),
  }
}

function isStatus(text: string): text is CheckStatus {
  return text === 'passing' || text === 'warning' || text === 'critical'
}

/** The agent does not have the instance, or its check: 404; before Consul 1.8, 500 and a text. */
function isUnknown(error: unknown): boolean {
  return error instanceof ConsulTrouble && (error.status === 404 || /^unknown (service|check)/i.test(error.said))
}
