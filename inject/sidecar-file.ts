import type { InboundListener } from './application.ts'
import { AGENT_FOLDER } from './names.ts'
import { hasDns, type Settings } from './settings.ts'
import { isMap, type Json, mapOf } from './shape.ts'

export interface FileFacts {
  readonly service: string
  readonly listeners: readonly InboundListener[]
  readonly settings: Settings
  /** `terminationGracePeriodSeconds` of the pod. */
  readonly graceSeconds: number
}

/** The sidecar file of a pod, as plain data: what is made from the pod, below what all have, below its own `config`. */
export function sidecarFile(facts: FileFacts, own: Json): Json {
  return [facts.settings.options.base, own].reduce(laidOver, generated(facts))
}

function generated({ service, listeners, settings, graceSeconds }: FileFacts): Json {
  const { ports, intercept, asked, agent } = settings
  const address = asked['listen-address'] === '::' ? '[::]' : '0.0.0.0'
  // The rules send what they redirect to loopback, of either family.
  const loopbacks = asked['listen-address'] === '::' && intercept.outbound ? ['127.0.0.1', '[::1]'] : ['127.0.0.1']
  const transparent = { transparent: true, passThrough: asked['pass-through'] ?? 'allow' }
  return {
    service,
    admin: `127.0.0.1:${ports.admin}`,
    metrics: `${address}:${ports.probes}`,
    inbound: intercept.inbound
      ? [{ listen: `${address}:${ports.inbound}`, transparent: true }]
      : listeners.map(each => inboundEntry(each, address)),
    outbound: loopbacks.map(loopback => ({
      listen: `${loopback}:${ports.outbound}`,
      ...(intercept.outbound ? transparent : {}),
    })),
    ...(hasDns(settings) ? { dns: { listen: `127.0.0.1:${ports.dns}` } } : {}),
    agent: agent === 'node' ? `unix:${AGENT_FOLDER}/agent.sock` : agent,
    drain: drainOf(graceSeconds),
    ...buffersOf(settings),
  }
}

/** It reads the API server with the service account of its pod. */
export function asksOwnCluster(file: Json): boolean {
  const { kubernetes } = mapOf(file.discovery)
  return isMap(kubernetes) && ['address', 'token', 'tokenFile'].every(key => kubernetes[key] === undefined)
}

function inboundEntry({ listen, port, protocol }: InboundListener, address: string): Json {
  const application = protocol === null || protocol === 'http' ? {} : { application: { protocol } }
  return {
    listen: `${address}:${listen}`,
    forward: `127.0.0.1:${port}`,
    ...(protocol === null ? { protocol: 'detect' } : {}),
    ...application,
  }
}

/**
 * Callers need time to notice that the pod ends. What runs then may take all the time that the pod has: a long request
 * is not to be cut while its application still works on it.
 */
function drainOf(graceSeconds: number): Json {
  const spare = Math.max(1, graceSeconds - 2)
  const delay = Math.min(5, Math.floor(spare / 4))
  return { delay: `${delay}s`, timeout: `${Math.max(1, spare - delay)}s` }
}

const MIB = 1024 ** 2

function buffersOf({ asked }: Settings): Json {
  const limit = asked['memory-limit']
  return limit === null ? {} : { buffers: `${Math.max(16, Math.floor(limit.bytes / 2 / MIB))}MiB` }
}

/** Maps are merged, everything else is replaced. */
function laidOver(below: Json, above: Json): Json {
  const merged: Record<string, unknown> = { ...below }
  for (const [key, value] of Object.entries(above)) {
    const under = Object.hasOwn(below, key) ? below[key] : undefined
    merged[key] = isMap(value) && isMap(under) ? laidOver(under, value) : value
  }
  return merged
}
