import { AsyncLocalStorage } from 'node:async_hooks'
import { formatGrpcTimeout, parseGrpcTimeout, parseMilliseconds } from './deadline.ts'
import { DEADLINE, GRPC_TIMEOUT, otherFields, ownTrace, traceFields } from './headers.ts'

/** What one inbound request gives to the calls made for it. */
export interface Carried {
  /** Name, value, name, value... */
  readonly trace: readonly string[]
  readonly others: readonly string[]
  /** On the clock of `performance.now()`; 0: none, or the request has been answered. */
  deadlineAt: number
}

/** The head of an outbound call, of whatever library. Names are in lower case. */
export interface OutgoingHead {
  has(name: string): boolean
  add(name: string, value: string): void
}

/** Of code that runs for no request. */
export const NOTHING: Carried = { trace: [], others: [], deadlineAt: 0 }

const storage = new AsyncLocalStorage<Carried>()

/** Undefined: none, or none that carries anything. */
export function carried(): Carried | undefined {
  return storage.getStore()
}

/** What `run` throws is thrown on: it is the application's. */
export function runWith<Arguments extends unknown[], Result>(
  store: Carried,
  run: (...args: Arguments) => Result,
  ...args: Arguments
): Result {
  return storage.run(store, run, ...args)
}

/** Of the head of an inbound request, as Node gives it: names in lower case. Null: there is nothing to carry. */
export function carriedFrom(headers: Readonly<Record<string, unknown>>): Carried | null {
  const trace = present(headers, traceFields)
  const others = present(headers, otherFields)
  const deadlineAt = deadlineOf(headers)
  if (trace === none && others === none && deadlineAt === 0) return null
  return { trace, others, deadlineAt }
}

/** Adds what the application has not set. `isGrpc` decides how the deadline is written. */
export function addCarried({ trace, others, deadlineAt }: Carried, head: OutgoingHead, isGrpc: boolean): void {
  if (trace.length > 0 && !ownTrace.some(name => head.has(name))) addMissing(trace, head)
  addMissing(others, head)
  if (deadlineAt === 0) return
  const left = deadlineAt - performance.now()
  // Past it, what still goes on is for another purpose than the answer.
  if (left <= 0) return
  const name = isGrpc ? GRPC_TIMEOUT : DEADLINE
  if (!head.has(name)) head.add(name, isGrpc ? formatGrpcTimeout(left) : String(Math.max(1, Math.floor(left))))
}

const none: readonly string[] = []

function present(headers: Readonly<Record<string, unknown>>, names: readonly string[]): readonly string[] {
  let found: string[] | null = null
  for (const name of names) {
    const value = headers[name]
    if (typeof value !== 'string' || value === '') continue
    found ??= []
    found.push(name, value)
  }
  return found ?? none
}

function deadlineOf(headers: Readonly<Record<string, unknown>>): number {
  const grpc = headers[GRPC_TIMEOUT]
  const plain = headers[DEADLINE]
  if (grpc === undefined && plain === undefined) return 0
  const left = Math.min(
    (typeof grpc === 'string' ? parseGrpcTimeout(grpc) : null) ?? Number.POSITIVE_INFINITY,
    (typeof plain === 'string' ? parseMilliseconds(plain) : null) ?? Number.POSITIVE_INFINITY,
  )
  return left === Number.POSITIVE_INFINITY ? 0 : performance.now() + left
}

function addMissing(fields: readonly string[], head: OutgoingHead): void {
  for (let index = 0; index < fields.length; index += 2)
    if (!head.has(fields[index]!)) head.add(fields[index]!, fields[index + 1]!)
}
