import type { Unknown } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { ServiceStatus } from '../core/source.ts'
import { catalogNames } from '../discovery/consul/agent.ts'
import type { OpenLink } from './consul-link.ts'
import type { Names } from './on-demand.ts'

/** The names of all services that the registry has; rejects where it does not say so within `limitMs`. */
export async function namesInConsul(link: OpenLink, limitMs: number, clock: Clock): Promise<Names> {
  const limit = new AbortController()
  const timer = clock.timer(() => limit.abort())
  timer.arm(limitMs)
  try {
    return await catalogNames(link.client, limit.signal)
  } finally {
    timer.cancel()
  }
}

/** Why a look-up found nothing. Only what the registry itself said is certain: not that it gave no answer. */
export function whyNot(service: string, status: ServiceStatus | undefined, registry: string): Unknown {
  const sources = status?.sources ?? []
  const trouble = sources.find(({ state }) => state !== 'fresh')
  if (sources.length > 0 && trouble === undefined)
    return { certain: true, reason: `${registry} knows no instance of "${service}"` }
  return {
    certain: false,
    reason: `"${service}" could not be looked up: ${trouble?.trouble || `${registry} gave no answer in time`}`,
  }
}

export function unknownByFiles(service: string): Unknown {
  return { certain: true, reason: `no service is known as "${service}"` }
}
