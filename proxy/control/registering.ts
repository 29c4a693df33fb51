import type { AddressSpec, RegisterSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { applicationCheck } from '../discovery/consul/application-check.ts'
import { consulClient } from '../discovery/consul/client.ts'
import { type Registration, registration } from '../discovery/consul/register.ts'
import { lookupName } from '../system/names.ts'
import { probe } from '../system/probe.ts'
import type { LoadedConfig } from './loaded-config.ts'

export interface RegistrarDeps {
  readonly loaded: LoadedConfig
  /** In force now. */
  readonly config: () => LoadedConfig
  readonly isReady: () => boolean
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Says to the registry that we are here, where the configuration asks for that. */
export interface Registrar {
  /** `listeners`: as the data threads have them open. */
  start(listeners: readonly string[]): void
  /** We go. Bounded in time. */
  stop(): Promise<void>
}

export function registrar({ loaded, config, isReady, clock, random, log }: RegistrarDeps): Registrar {
  const { register } = loaded.bootstrap
  const { consul } = loaded.discovery
  let running: Registration | null = null
  return {
    start(listeners) {
      if (register === null || consul === null) return
      const application = applicationCheck(() => applicationOf(config().snapshot, register.port), probe, clock)
      const deps = { clock, random, log, lookup: lookupName }
      const own = { ...deps, ready: isReady, application }
      running = registration(withOpenPort(register, listeners), consulClient(consul, deps), own)
      running.start()
    },
    stop: async () => running?.stop(),
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

/**
 * Behind the inbound listener that is registered: the one at that port, else the first, which a port mapping may lead
 * to. Null: there is none.
 */
export function applicationOf({ listeners, services }: Snapshot, port: number): AddressSpec | null {
  const inbound = listeners.filter(({ direction }) => direction === 'inbound')
  const listener = inbound.find(({ listen }) => listen.port === port) ?? inbound[0]
  // Redirected callers go to the port that is registered.
  if (listener?.transparent !== undefined && listener.service === null) return { address: '127.0.0.1', port }
  const endpoint = services[listener?.service ?? '']?.endpoints[0]
  return endpoint === undefined ? null : { address: endpoint.address, port: endpoint.port }
}
