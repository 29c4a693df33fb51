import type { AddressSpec, NameServerSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { AskByDatagram, OpenDatagrams } from '../core/datagrams.ts'
import type { Log } from '../core/log.ts'
import type { Dial, Listen } from '../core/wire.ts'
import { type AnswerKind, answerer, type Result, type ServiceNames } from './answerer.ts'
import { forwarder } from './forward.ts'
import { forDatagram, LARGEST_REMOTE_UDP, LARGEST_UDP, PLAIN_UDP } from './message.ts'
import { nameServers } from './name-servers.ts'
import { LONGEST_QUERY, tcpClients } from './tcp-clients.ts'
import { Waiting } from './waiting.ts'

export interface NameServerDeps {
  readonly spec: NameServerSpec
  readonly services: ServiceNames
  /** The text of resolv.conf; empty where there is none. */
  readonly resolvConf: () => Promise<string>
  readonly isSelf: (server: AddressSpec) => boolean
  readonly clock: Clock
  readonly randomId: () => number
  readonly openDatagrams: OpenDatagrams
  readonly ask: AskByDatagram
  readonly listen: Listen
  readonly dial: Dial
  readonly log: Log
}

export interface NameServerCounts {
  /** By kind and result. */
  readonly queries: ReadonlyMap<string, { readonly kind: AnswerKind; readonly result: Result; count: number }>
  forwardedUdp: number
  forwardedTcp: number
  timeouts: number
  /** Datagrams and connections that were no query, and got no answer. */
  dropped: number
}

export interface NameServer {
  readonly port: number
  readonly counts: NameServerCounts
  /** Queries that wait, and those that had to end for others. */
  waiting(): { readonly now: number; readonly ended: number }
  connections(): number
  /** Where other names are forwarded to, as last known. */
  servers(): readonly AddressSpec[]
  close(): void
}

/** Opens the port, UDP and TCP; rejects with the system's error. */
export async function openNameServer(deps: NameServerDeps): Promise<NameServer> {
  const { spec, clock, log } = deps
  const queries = new Map<string, { kind: AnswerKind; result: Result; count: number }>()
  const counts: NameServerCounts = { queries, forwardedUdp: 0, forwardedTcp: 0, timeouts: 0, dropped: 0 }
  const waiting = new Waiting({ most: spec.queries, perClient: spec.perClient })
  const servers = nameServers({
    configured: spec.servers,
    resolvConf: deps.resolvConf,
    isSelf: deps.isSelf,
    clock,
    changed: list =>
      list.length === 0
        ? log.warn(
            'no name server is known, so only names of services are answered: write dns: { servers: [...] }, or put one into /etc/resolv.conf',
          )
        : log.info(`names that are no service are forwarded to ${list.map(({ address }) => address).join(', ')}`),
  })
  let hasSaidLoop = false
  const answer = answerer({
    domain: spec.domain,
    ttlSeconds: Math.ceil(spec.ttlMs / 1000),
    services: deps.services,
    waiting,
    forwarder: forwarder({
      servers,
      timeoutMs: spec.timeoutMs,
      clock,
      randomId: deps.randomId,
      ask: deps.ask,
      dial: deps.dial,
      count: {
        sent: overTcp => void (overTcp ? counts.forwardedTcp++ : counts.forwardedUdp++),
        timedOut: () => void counts.timeouts++,
      },
    }),
    count(kind, result) {
      const key = `${kind} ${result}`
      const known = queries.get(key)
      if (known === undefined) queries.set(key, { kind, result, count: 1 })
      else known.count++
    },
    looped() {
      if (!hasSaidLoop)
        log.error(
          'queries that this sidecar forwards come back to it: write dns: { servers: [...] }, or exclude the user of the sidecar from the redirection of port 53',
        )
      hasSaidLoop = true
    },
  })
  const clients = tcpClients({
    most: spec.connections,
    clock,
    waiting,
    answer(bytes, asked) {
      const isTaken = answer(bytes, asked)
      if (!isTaken) counts.dropped++
      return isTaken
    },
  })
  const largest = spec.remote ? LARGEST_REMOTE_UDP : LARGEST_UDP
  const failed = (error: Error) => log.error(`the name server has trouble with its port: ${error.message}`)
  const datagrams = await deps.openDatagrams(
    spec.listen,
    (bytes, from) => {
      const isTaken =
        bytes.length <= LONGEST_QUERY &&
        answer(bytes, {
          client: `${from.address} ${from.port}`,
          overTcp: false,
          reply: (reply, query) =>
            datagrams.send(query === null ? reply.subarray(0, PLAIN_UDP) : forDatagram(reply, query, largest), from),
        })
      if (!isTaken) counts.dropped++
    },
    failed,
  )
  try {
    const acceptor = await deps.listen({ ...spec.listen, port: datagrams.port }, wire => clients.accept(wire), failed)
    // The list of the system is there before the first query.
    await servers.refresh()
    return {
      port: datagrams.port,
      counts,
      waiting: () => ({ now: waiting.size, ended: waiting.ended }),
      connections: () => clients.size,
      servers: servers.inOrder,
      close() {
        datagrams.close()
        acceptor.close()
        clients.closeAll()
      },
    }
  } catch (error) {
    datagrams.close()
    throw error
  }
}
