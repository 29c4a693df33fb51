import type { Plan } from '../mesh/plan.ts'
import type { Split } from '../mesh/sidecar-file.ts'
import type { Picture } from '../watch/observer.ts'

/** All that is on the screen at one moment. */
export interface Scene {
  readonly seconds: number
  readonly picture: Picture
  readonly split: Split
  readonly load: LoadFacts
  readonly retries: boolean
  /** Oldest first. */
  readonly events: readonly Event[]
  readonly hints: readonly Hint[]
  readonly folder: string
  /** Lines that are shown instead of all else, until a key is pressed. */
  readonly instead: ((columns: number) => readonly string[]) | null
  /** Null: no keys are read. */
  readonly keys: string | null
}

/**
 * Of all its requests since the start. For web also those count that the visitors gave up on; null: there were none.
 */
export function successOf({ picture, load }: Scene, service: string): number | null {
  const { requests, failed } = picture.services.find(({ name }) => name === service)!.total
  if (requests === 0) return null
  return 1 - (service === 'web' ? Math.max(failed, load.failed) : failed) / requests
}

export interface LoadFacts {
  readonly perSecond: number
  readonly sent: number
  readonly failed: number
  readonly lastFailure: string | null
}

export interface Event {
  readonly seconds: number
  readonly text: string
}

/** Something to try: a command line as it can be pasted, and what one sees. */
export interface Hint {
  readonly command: string
  readonly shows: string
}

export function hintsFor({ instances, consul, jaeger }: Pick<Plan, 'instances' | 'consul' | 'jaeger'>): Hint[] {
  const { admin, inbound } = instances[0]!.ports
  const stock = instances.find(({ name }) => name === 'stock-2')!.ports
  return [
    {
      command: `curl '127.0.0.1:${admin}/explain?url=http://orders/&format=text'`,
      shows: 'where would it go, and why?',
    },
    { command: `curl '127.0.0.1:${admin}/flights?limit=5&format=text'`, shows: 'the last five, with reasons' },
    { command: `curl '127.0.0.1:${admin}/endpoints?format=text'`, shows: 'who web calls, and how they do' },
    { command: `curl 127.0.0.1:${admin}/metrics`, shows: 'for Prometheus' },
    { command: `http://127.0.0.1:${inbound}/shop`, shows: 'the page of the shop, live by a WebSocket' },
    { command: `curl -i 127.0.0.1:${inbound}/`, shows: 'call web yourself' },
    ...(jaeger === null
      ? []
      : [{ command: `http://127.0.0.1:${jaeger.query}/search`, shows: 'Jaeger; t shows a trace here' }]),
    ...(consul === null
      ? []
      : [
          {
            command: `curl '127.0.0.1:${consul}/v1/health/service/orders?pretty'`,
            shows: 'what Consul says of orders',
          },
        ]),
    {
      command: `curl -X POST '127.0.0.1:${stock.app}/slow?ms=400'`,
      shows: 'make stock-2 slow yourself (ms=0: fast again)',
    },
  ]
}
