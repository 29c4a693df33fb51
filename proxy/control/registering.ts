import type { RegisterSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { consulClient } from '../discovery/consul/client.ts'
import { idOf } from '../discovery/consul/definition.ts'
import { type Adopted, type Registration, registration } from '../discovery/consul/register.ts'
import { lookupName } from '../system/names.ts'
import type { Applications } from './applications.ts'
import type { LoadedConfig } from './loaded-config.ts'

export interface RegistrarDeps {
  readonly loaded: LoadedConfig
  readonly applications: Applications
  readonly isReady: () => boolean
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Says to the registry that we are here, where the configuration asks for that. */
export interface Registrar {
  /**
   * `listeners`: as the data threads have them open. `adopted`: a registration that a process before this one made.
   * Without effect when it was started before, or has stopped.
   */
  start(listeners: readonly string[], adopted?: Adopted | null): void
  /** The id of what is registered; empty: nothing is. */
  id(listeners: readonly string[]): string
  /** We go. Bounded in time. */
  stop(): Promise<void>
  /** Another process goes on with the registration: nothing more is said of it here. Null: there is none. */
  release(): Promise<Adopted | null>
}

export function registrar({ loaded, applications, isReady, clock, random, log }: RegistrarDeps): Registrar {
  const { register } = loaded.bootstrap
  const { consul } = loaded.discovery
  let running: Registration | null = null
  let stopped: Promise<void> | null = null
  return {
    start(listeners, adopted = null) {
      if (register === null || consul === null || running !== null || stopped !== null) return
      if (register.check.kind === 'ttl' && register.check.application) applications.watch()
      const deps = { clock, random, log, lookup: lookupName }
      const own = { ...deps, ready: isReady, application: applications }
      running = registration(withOpenPort(register, listeners), consulClient(consul, deps), own)
      running.start(adopted)
    },
    id: listeners => (register === null || consul === null ? '' : idOf(withOpenPort(register, listeners))),
    stop: () => (stopped ??= running?.stop() ?? Promise.resolve()),
    release: async () => (await running?.release()) ?? null,
  }
}

/**
 * With the port that the system chose for the first inbound listener, where its file says port 0. `listeners`: as the
 * data threads have them open.
 */
export function withOpenPort(register: RegisterSpec, listeners: readonly string[]): RegisterSpec {
  if (register.port !== 0) return register
  const inbound = listeners.find(name => name.startsWith('inbound '))
  return { ...register, port: Number(/:(\d+)$/.exec(inbound ?? '')?.[1] ?? 0) }
}
