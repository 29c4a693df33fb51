import type { ConsulSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { agentZone } from '../discovery/consul/agent.ts'
import { consulClient } from '../discovery/consul/client.ts'
import type { ConsulClient } from '../discovery/consul/consul-client.ts'
import { lookupName } from '../system/names.ts'

/** The way to Consul: one client as long as the configuration names the same way. */
export interface ConsulLink {
  /** As a configuration says; null: it has no Consul. */
  follow(spec: ConsulSpec | null): void
  /** Null: there is no way to it. */
  now(): OpenLink | null
  /** Of the node of our agent; empty: not known, or it has none. */
  zone(): string
  /** That of our agent; empty: not known. */
  datacenter(): string
  /** The agent of the client of now has said its zone, or cannot. */
  zoneAsked(): Promise<void>
  close(): void
}

export interface OpenLink {
  /** The same for the same way. */
  readonly key: string
  readonly client: ConsulClient
}

export interface ConsulLinkDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The zone is another one now. */
  readonly zoneChanged: () => void
}

export function consulLink({ clock, random, log, zoneChanged }: ConsulLinkDeps): ConsulLink {
  let open: OpenLink | null = null
  let zone = ''
  let datacenter = ''
  let asked: Promise<void> = Promise.resolve()

  function close(): void {
    open?.client.close()
    open = null
  }

  async function askZone({ client }: OpenLink): Promise<void> {
    const learnt = await agentZone(client, { clock, random, log, isIn: name => (datacenter = name) })
    if (learnt === null || learnt === zone) return
    zone = learnt
    zoneChanged()
  }

  return {
    follow(spec) {
      if (spec === null) return close()
      const { services: _services, onDemand: _onDemand, idleMs: _idle, ...way } = spec
      const key = JSON.stringify(way)
      if (open?.key === key) return
      close()
      open = { key, client: consulClient(spec, { clock, random, log, lookup: lookupName }) }
      asked = askZone(open)
    },
    now: () => open,
    zone: () => zone,
    datacenter: () => datacenter,
    zoneAsked: () => asked,
    close,
  }
}
