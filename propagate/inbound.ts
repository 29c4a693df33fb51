import { http, httpsIfLoaded, net, override } from './builtins.ts'
import { type Carried, carried, carriedFrom, NOTHING, runWith } from './context.ts'
import { followEvents, ownerOf, setOwner } from './events.ts'

/**
 * Requests come in as events of a server: http, https and http2, whose servers all are a net.Server. Their listeners
 * run for the request.
 */
export function followInbound(): void {
  followEvents(http.IncomingMessage.prototype)
  followEvents(http.ServerResponse.prototype)
  followServers(net.Server.prototype)
  // Of an OpenTelemetry SDK that was here first: it does not come by the method above.
  for (const { prototype } of [http.Server, httpsIfLoaded()?.Server ?? http.Server])
    if (Object.hasOwn(prototype, 'emit')) followServers(prototype)
}

function followServers(prototype: object): void {
  override(
    prototype,
    'emit',
    original =>
      function emit(this: unknown, ...args: unknown[]) {
        const owner = ownerOfEvent(args)
        return owner === null
          ? Reflect.apply(original, this, args)
          : runWith(owner, Reflect.apply, original, this, args)
      },
  )
}

/** Null: the event is no request, or its listeners run for the right one as it is. Never throws. */
function ownerOfEvent([event, subject, about]: readonly unknown[]): Carried | null {
  try {
    if (typeof subject !== 'object' || subject === null) return null
    switch (event) {
      case 'stream':
        return ownerOfStream(subject, about)
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
      case 'upgrade':
      case 'connect':
        return subject instanceof http.IncomingMessage ? ownerOfRequest(subject, about) : null
      default:
        return null
    }
  } catch {
    return null
  }
}

/** `about`: the response; the socket of an upgrade. */
function ownerOfRequest(request: InstanceType<typeof http.IncomingMessage>, about: unknown): Carried | null {
  const known = ownerOf(request)
  if (known !== undefined) return known === carried() ? null : known
  const owner = carriedFrom(request.headers)
  if (owner === null) return carried() === undefined ? null : NOTHING
  setOwner(request, owner)
  if (about instanceof http.ServerResponse) {
    setOwner(about, owner)
    endDeadline(about, owner)
  }
  return owner
}

function ownerOfStream(stream: object, headers: unknown): Carried | null {
  if (typeof headers !== 'object' || headers === null || !(':method' in headers)) return null
  const owner = carriedFrom(headers as Record<string, unknown>)
  if (owner === null) return carried() === undefined ? null : NOTHING
  followEvents(Object.getPrototypeOf(stream) as object)
  setOwner(stream, owner)
  endDeadline(stream as NodeJS.EventEmitter, owner)
  return owner
}

/** What the application still does once it has answered is not bound by the time that its caller had. */
function endDeadline(answer: NodeJS.EventEmitter, owner: Carried): void {
  if (owner.deadlineAt === 0) return
  const end = () => {
    owner.deadlineAt = 0
  }
  answer.once('finish', end).once('close', end)
}
