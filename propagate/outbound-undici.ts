import { channel } from 'node:diagnostics_channel'
import { override } from './builtins.ts'
import { addCarried, type Carried, carried, NOTHING, runWith } from './context.ts'
import { whenLoaded } from './packages.ts'

/** The request as undici publishes it, of the versions since 5. */
interface UndiciRequest {
  readonly method?: string
  /** `[name, value, name, value]`, or lines with CRLF. */
  readonly headers?: unknown
  addHeader?(name: string, value: string): unknown
}

/**
 * The global fetch, which has an undici inside Node, and the package: both publish every request on this channel before
 * they send it.
 */
export function followUndici(): void {
  const created = channel('undici:request:create')
  const listener = (message: unknown) => addTo((message as { readonly request?: UndiciRequest })?.request)
  created.subscribe(listener)
  // Whoever subscribes later, as an OpenTelemetry SDK does, would add its own without looking for ours. So ours looks
  // last.
  const { subscribe } = created
  created.subscribe = function (this: typeof created, other) {
    subscribe.call(this, other)
    this.unsubscribe(listener)
    subscribe.call(this, listener)
  }
  whenLoaded(UNDICI, followDispatchers)
}

const UNDICI = /(?:^|[\\/])undici(?:[\\/]index\.js)?$/

/** The options of a dispatch, which are ours, and whom it is for. */
const owners = new WeakMap<object, Carried>()
const dispatchers = new WeakSet<object>()

/**
 * A pool whose connections are all busy dispatches later, from wherever a connection becomes free. The fetch of Node has
 * no such pools.
 */
function followDispatchers(exports: unknown): void {
  let { prototype } = (exports as { readonly Client: { readonly prototype: object } }).Client
  while (!Object.hasOwn(prototype, 'dispatch')) prototype = Object.getPrototypeOf(prototype) as object
  if (dispatchers.has(prototype)) return
  dispatchers.add(prototype)
  override(
    prototype,
    'dispatch',
    original =>
      function dispatch(this: unknown, ...args: unknown[]) {
        const [options, ...others] = args
        if (typeof options !== 'object' || options === null) return Reflect.apply(original, this, args)
        const owner = owners.get(options)
        if (owner !== undefined) return runWith(owner, Reflect.apply, original, this, args)
        const own = { ...options }
        owners.set(own, carried() ?? NOTHING)
        return Reflect.apply(original, this, [own, ...others])
      },
  )
}

/** Never throws. */
function addTo(request: UndiciRequest | undefined): void {
  try {
    const owner = carried()
    if (owner === undefined || request === undefined || request.method === 'CONNECT') return
    const names = namesOf(request.headers)
    if (names === null || typeof request.addHeader !== 'function') return
    addCarried(
      owner,
      { has: name => names.has(name), add: (name, value) => void request.addHeader!(name, value) },
      false,
    )
  } catch {
    // The call goes out as the application made it.
  }
}

/** In lower case. Null: a form that is not known. */
function namesOf(headers: unknown): ReadonlySet<string> | null {
  if (typeof headers === 'string')
    return new Set(headers.split('\r\n').map(line => line.slice(0, Math.max(0, line.indexOf(':'))).toLowerCase()))
  if (!Array.isArray(headers)) return null
  return new Set(headers.filter((_, index) => index % 2 === 0).map(name => String(name).toLowerCase()))
}
