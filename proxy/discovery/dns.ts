import { formatAddress } from '../../mesh-config/address.ts'
import type { AddressFamily, DnsSourceSpec, EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Resolver, ServiceRecord } from '../core/dns.ts'
import { CONFIRM_MS, type EndpointSource, type EndpointWatcher } from '../core/source.ts'
import { addressBook } from './address-book.ts'

/** A TTL of 0 means "do not cache", not "ask without end". */
const LEAST_MS = 1_000
/** A service scaled to nothing, or not there yet, may come back any time, and "no such name" has no TTL here. */
const EMPTY_MS = 5_000
const FIRST_RETRY_MS = 1_000
/** Jitter: sidecars that started together must not ask together for ever. */
const JITTER = 0.1

export interface DnsDeps {
  readonly clock: Clock
  readonly random: Random
  readonly resolver: (servers: readonly string[], family: AddressFamily) => Resolver
}

interface Answer {
  readonly endpoints: readonly EndpointSpec[]
  /** How long the answer holds. */
  readonly ttlMs: number
}

/**
 * Endpoints from DNS. With a port every A and AAAA record is one; without, SRV records bring the ports. Asks again when
 * the TTL is over, at the latest after `refreshMs`. "No such name" is an answer (a headless service of Kubernetes
 * without pods has none); a server that does not answer, or cannot tell, is trouble.
 */
export function dnsSource(spec: DnsSourceSpec, { clock, random, resolver }: DnsDeps): EndpointSource {
  function watch(watcher: EndpointWatcher, signal: AbortSignal): void {
    const dns = resolver(spec.servers, spec.family)
    const addresses = addressBook(dns, spec.servers.length === 0)
    let failures = 0
    const timer = clock.timer(() => void ask())

    async function ask(): Promise<void> {
      let waitMs: number
      let tell: () => void
      try {
        const { endpoints, ttlMs } = spec.port === null ? await askServices() : await askAddresses(spec.port)
        failures = 0
        waitMs =
          Math.max(LEAST_MS, Math.min(ttlMs, spec.refreshMs, endpoints.length === 0 ? EMPTY_MS : spec.refreshMs)) *
          (1 + JITTER * random())
        tell = () => watcher.onSet(endpoints)
      } catch (error) {
        // Half of the wait is random, so that requests do not come back in step and overload the server again.
        waitMs =
          Math.min(FIRST_RETRY_MS * 2 ** failures++, Math.max(FIRST_RETRY_MS, spec.refreshMs)) * (0.5 + random() / 2)
        tell = () => watcher.onTrouble((error as Error).message)
      }
      if (signal.aborted) return
      tell()
      // The watcher may stop the source in this call.
      if (!signal.aborted) timer.arm(watcher.isDoubted() ? Math.min(waitMs, CONFIRM_MS) : waitMs)
    }

    async function askAddresses(port: number): Promise<Answer> {
      const found = await addresses.find([spec.name])
      return {
        endpoints: ordered(found.of(spec.name).map(address => endpointOf(address, port, 1, 0))),
        ttlMs: found.ttlMs,
      }
    }

    async function askServices(): Promise<Answer> {
      // A target "." says that the service does not exist here (RFC 2782).
      const records = (await dns.services(spec.name)).filter(
        ({ target, port }) => target !== '' && target !== '.' && port > 0,
      )
      const found = await addresses.find([...new Set(records.map(({ target }) => target))])
      return { endpoints: ordered(endpointsOfRecords(records, found.of)), ttlMs: found.ttlMs }
    }

    signal.addEventListener('abort', () => {
      timer.cancel()
      dns.cancel()
    })
    void ask()
  }

  return { name: `dns ${spec.name}${spec.port === null ? '' : `:${spec.port}`}`, watch }
}

/**
 * SRV priorities are any numbers; ours are the levels 0, 1, 2 ... A weight of 0 means "hardly ever", which is 1 beside
 * weights in the tens.
 */
function endpointsOfRecords(
  records: readonly ServiceRecord[],
  addressesOf: (name: string) => readonly string[],
): EndpointSpec[] {
  const levels = [...new Set(records.map(({ priority }) => priority))].sort((a, b) => a - b)
  return records.flatMap(({ target, port, weight, priority }) =>
    addressesOf(target).map(address => endpointOf(address, port, Math.max(1, weight), levels.indexOf(priority))),
  )
}

function endpointOf(address: string, port: number, weight: number, priority: number): EndpointSpec {
  return { address, port, weight, priority, zone: '', metadata: {}, health: 'passing', healthReason: '' }
}

/**
 * Servers rotate their answers, so the order does not count. Of one address in several records the best level and the
 * highest weight count.
 */
function ordered(endpoints: readonly EndpointSpec[]): EndpointSpec[] {
  const best = new Map<string, EndpointSpec>()
  for (const endpoint of endpoints) {
    const name = formatAddress(endpoint)
    const earlier = best.get(name)
    if (
      earlier === undefined ||
      endpoint.priority < earlier.priority ||
      (endpoint.priority === earlier.priority && endpoint.weight > earlier.weight)
    )
      best.set(name, endpoint)
  }
  return [...best].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint)
}
