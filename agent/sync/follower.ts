import { createHash } from 'node:crypto'
import type { Follower, FollowerPolicy } from '../followers.ts'
import type { OwnLayer, PolicyBook, WantedPolicy } from '../wanted-policy.ts'
import type { Answer, Hello, Wanted } from './messages.ts'
import type { Outbox } from './outbox.ts'

/** A proxy may follow so many services, and send so much of its own policy for all of them. */
export const MAX_SERVICES = 2_000
export const MAX_OWN_BYTES = 3 * 1024 * 1024

interface Subscription {
  readonly service: string
  readonly own: OwnLayer | null
  /** What the proxy has: by its own word. */
  has: string
  /** What was sent and not answered yet, or refused; empty: nothing. */
  sent: string
  wanted: string
  reasons: readonly string[]
  /** The last version that it has refused. */
  refused: string
  staleSince: number | null
}

/** One proxy: what it wants, has and has been sent. Knows nothing of streams. */
export interface FollowerState {
  readonly hello: Hello
  /** Null: it is taken. Else why it is not. */
  subscribe(services: readonly Wanted[]): string | null
  answer(answer: Answer): void
  /** Policies may have changed. */
  review(services: ReadonlySet<string> | 'all'): void
  /** Sends what waits, as far as there is room. False: it has taken long, and more can be sent. */
  flush(): boolean
  status(connected: boolean): Follower
  /** It has another version of a policy than it should. */
  isStale(): boolean
  heard(): void
}

export interface FollowerDeps {
  readonly book: PolicyBook
  readonly outbox: Outbox
  /** The encoded Update; `unchanged`: the proxy has it already. */
  readonly encode: (service: string, policy: WantedPolicy, unchanged: boolean) => Buffer
  readonly acked: () => void
  /** `reason`: null where that is known already, however often it is said. */
  readonly nacked: (service: string, version: string, reason: string | null) => void
}

/** Policies are compiled for so long at a time. */
const BUSY_MS = 10
/** The longest name of a version that is kept. */
const MAX_VERSION = 100

export function followerState(hello: Hello, { book, outbox, encode, acked, nacked }: FollowerDeps): FollowerState {
  const subscriptions = new Map<string, Subscription>()
  /** Services whose policy may have to be sent. */
  const due = new Set<string>()
  let lastWordAt = Date.now()

  function send(subscription: Subscription): void {
    const { service, own, has, sent } = subscription
    const policy = book.wanted({ proxy: hello.proxy, caller: hello.service, service, own, has: has !== '' })
    if ('withheld' in policy) {
      subscription.reasons = [policy.withheld]
      subscription.wanted = ''
      return
    }
    const { version } = policy
    if (subscription.wanted !== version) {
      subscription.wanted = version
      subscription.reasons = []
      subscription.staleSince = version === has ? null : (subscription.staleSince ?? Date.now())
    }
    if (sent === version) return
    subscription.sent = version
    outbox.send(encode(service, policy, version === has && sent === ''))
  }

  return {
    hello,
    subscribe(services) {
      if (services.length > MAX_SERVICES)
        return `the proxy follows ${services.length} services, and at most ${MAX_SERVICES} are possible: name fewer in its file`
      const bytes = services.reduce((sum, { own }) => sum + own.length, 0)
      if (bytes > MAX_OWN_BYTES)
        return `the proxy's own file says ${bytes} bytes about services, and at most ${MAX_OWN_BYTES} are read: move policies to the agent`
      const wanted = new Map(services.map(each => [each.service, each]))
      for (const service of subscriptions.keys()) if (!wanted.has(service)) subscriptions.delete(service)
      for (const { service, own, have } of wanted.values()) {
        const layer = own.length === 0 ? null : { hash: hashOf(own), bytes: Buffer.from(own) }
        const before = subscriptions.get(service)
        if (before !== undefined && before.own?.hash === layer?.hash) continue
        const fresh = { service, own: layer, has: before?.has ?? have, sent: '', wanted: '', refused: '' }
        subscriptions.set(service, { ...fresh, reasons: [], staleSince: null })
        due.add(service)
      }
      return null
    },
    answer({ service, version, reasons }) {
      const subscription = subscriptions.get(service)
      if (subscription === undefined) return
      const isWanted = subscription.wanted === version
      if (reasons.length === 0) {
        subscription.has = version.slice(0, MAX_VERSION)
        if (isWanted) {
          subscription.staleSince = null
          subscription.reasons = []
        }
        return acked()
      }
      const shown = reasons.slice(0, 20).map(reason => reason.slice(0, 1000))
      const isNews = isWanted && subscription.refused !== version
      if (isWanted) {
        subscription.reasons = shown
        subscription.refused = version
      }
      nacked(service, version, isNews ? shown[0]! : null)
    },
    review(services) {
      if (services === 'all') for (const service of subscriptions.keys()) due.add(service)
      else for (const service of services) if (subscriptions.has(service)) due.add(service)
    },
    flush() {
      const until = performance.now() + BUSY_MS
      for (const service of due) {
        if (!outbox.hasRoom()) return true
        if (performance.now() > until) return false
        due.delete(service)
        const subscription = subscriptions.get(service)
        if (subscription !== undefined) send(subscription)
      }
      return true
    },
    isStale() {
      for (const { staleSince } of subscriptions.values()) if (staleSince !== null) return true
      return false
    },
    heard() {
      lastWordAt = Date.now()
    },
    status(connected) {
      const { proxy, service, version, host, zone, pid, admin } = hello
      const policies = [...subscriptions.values()].map(
        ({ service: name, wanted, has, reasons, staleSince }): FollowerPolicy => ({
          service: name,
          wanted,
          has,
          reasons,
          staleSince,
        }),
      )
      return { proxy, service, version, host, zone, pid, admin, connected, lastWordAt, policies }
    },
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16)
}
