import { http, override } from './builtins.ts'
import { addCarried, type Carried, carried, NOTHING } from './context.ts'
import { followEvents, ownerOf, setOwner } from './events.ts'

type Request = InstanceType<typeof http.ClientRequest>

/** Responses, and what else comes for one request of a client. */
const ANSWERS = new Set<unknown>(['response', 'upgrade', 'connect'])

/**
 * Every request of node:http and node:https, whoever makes it, writes its head once, at the first byte or at the end:
 * by then the application has set what it wants to set.
 */
export function followHttp(): void {
  const { prototype } = http.ClientRequest
  override(
    prototype,
    '_storeHeader',
    original =>
      function _storeHeader(this: unknown, firstLine: unknown, headers: unknown) {
        return Reflect.apply(original, this, [firstLine, headersOf(this as Request, headers)])
      },
  )
  // Before `followEvents`: the listeners of its answer belong to the same.
  override(
    prototype,
    'emit',
    original =>
      function emit(this: unknown, ...args: unknown[]) {
        if (ANSWERS.has(args[0])) passOwner(this, args[1])
        return Reflect.apply(original, this, args)
      },
  )
  followEvents(prototype)
}

function passOwner(request: unknown, answer: unknown): void {
  const owner = ownerOf(request as object)
  if (owner !== undefined && answer instanceof http.IncomingMessage) setOwner(answer, owner)
}

/** Never throws. */
function headersOf(request: Request, headers: unknown): unknown {
  try {
    const owner = carried() ?? NOTHING
    setOwner(request, owner)
    // It asks a proxy for a tunnel; the request itself follows inside.
    if (owner === NOTHING || request.method === 'CONNECT') return headers
    if (Array.isArray(headers)) return withMore(headers, owner)
    const added: Record<string, string> = {}
    addCarried(
      owner,
      {
        has: name => request.hasHeader(name),
        add(name, value) {
          request.setHeader(name, value)
          added[name] = value
        },
      },
      false,
    )
    // A request without any header yet: the object that would be written does not exist.
    return headers ?? added
  } catch {
    return headers
  }
}

/** An application may give its head as a list: `[name, value, name, value]`, or of pairs. */
function withMore(headers: readonly unknown[], owner: Carried): readonly unknown[] {
  const arePairs = Array.isArray(headers[0])
  const all = [...headers]
  const names = new Set(
    headers
      .filter((_, index) => arePairs || index % 2 === 0)
      .map(each => String(arePairs ? (each as unknown[])[0] : each).toLowerCase()),
  )
  addCarried(
    owner,
    {
      has: name => names.has(name),
      add: (name, value) => void (arePairs ? all.push([name, value]) : all.push(name, value)),
    },
    false,
  )
  return all
}
