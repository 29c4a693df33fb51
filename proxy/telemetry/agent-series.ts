import { helpOf, type MetricName, metrics } from '../core/metrics-table.ts'
import type { SeriesStore } from './series-store.ts'

export interface AgentFacts {
  /** False: no agent is configured, and none has ever been there. */
  readonly hasAgent: boolean
  readonly connected: boolean
  readonly losses: number
  readonly services: readonly {
    readonly service: string
    /** Since when something else is in force than the agent wants; 0: it is what the agent wants. */
    readonly staleMs: number
    readonly hasPolicy: boolean
    readonly isRefused: boolean
    readonly updates: Readonly<Record<string, number>>
  }[]
}

type Service = AgentFacts['services'][number]

/** Keeps the series of the agent and of its policies. Call `sync` before a scrape. */
export function agentSeries(store: SeriesStore, read: () => AgentFacts): { sync(): void } {
  let facts: AgentFacts = { hasAgent: false, connected: false, losses: 0, services: [] }
  let current = new Map<string, Service>()
  /** By series: how to take it out. */
  const shown = new Map<string, () => void>()

  function show(
    name: MetricName,
    labels: Readonly<Record<string, string>>,
    value: () => number,
    kept: Set<string>,
  ): void {
    const key = `${name} ${JSON.stringify(labels)}`
    kept.add(key)
    if (shown.has(key)) return
    store.own(name, helpOf(name), metrics[name].type as 'gauge' | 'counter', labels, value)
    shown.set(key, () => store.disown(name, labels))
  }

  function showService({ service, updates }: Service, kept: Set<string>): void {
    const own = () => current.get(service)!
    show('outrigger_policy_stale_seconds', { service }, () => own().staleMs / 1000, kept)
    show('outrigger_policy_refused', { service }, () => Number(own().isRefused), kept)
    for (const result of Object.keys(updates))
      show('outrigger_policy_updates_total', { service, result }, () => own().updates[result] ?? 0, kept)
  }

  return {
    sync() {
      facts = read()
      const kept = new Set<string>()
      if (facts.hasAgent) {
        show('outrigger_agent_connected', {}, connected, kept)
        show('outrigger_agent_losses_total', {}, losses, kept)
      }
      const services = facts.services.filter(({ hasPolicy, isRefused }) => hasPolicy || isRefused)
      current = new Map(services.map(each => [each.service, each]))
      for (const each of services) showService(each, kept)
      for (const [key, disown] of shown) {
        if (kept.has(key)) continue
        shown.delete(key)
        disown()
      }
    },
  }

  function connected(): number {
    return Number(facts.connected)
  }

  function losses(): number {
    return facts.losses
  }
}
