import { override } from './builtins.ts'
import { addCarried, type Carried, carried, NOTHING, runWith } from './context.ts'
import { whenLoaded } from './packages.ts'

/** As much of @grpc/grpc-js as is used here: its classes are the application's own copy. */
interface Metadata {
  clone(): Metadata
  get(name: string): readonly unknown[]
  set(name: string, value: string): void
}

type Listener = Record<'onReceiveMetadata' | 'onReceiveMessage' | 'onReceiveStatus', (value: unknown) => void>

let isFollowed = false

export function isGrpcFollowed(): boolean {
  return isFollowed
}

const GRPC_JS = /@grpc[\\/]grpc-js(?:[\\/]build[\\/]src[\\/]index\.js)?$/

/**
 * A call of grpc-js waits for its connection, and is then sent from wherever that was made: for another request, or for
 * none. So the calls are followed where the application makes them.
 */
export function followGrpc(): void {
  whenLoaded(GRPC_JS, followChannels)
}

const channels = new WeakSet<object>()

function followChannels(exports: unknown): void {
  const { prototype } = (exports as { readonly Channel: { readonly prototype: object } }).Channel
  if (channels.has(prototype)) return
  channels.add(prototype)
  override(
    prototype,
    'createCall',
    original =>
      function createCall(this: unknown, ...args: unknown[]) {
        const owner = carried() ?? NOTHING
        const call = Reflect.apply(original, this, withDeadline(args, owner))
        followCall(call, owner)
        return call
      },
  )
  isFollowed = true
}

/** `args`: method, deadline, host, parent, flags. The deadline is a Date or a number; Infinity: the application set none. */
function withDeadline(args: unknown[], { deadlineAt }: Carried): unknown[] {
  const left = deadlineAt - performance.now()
  if (deadlineAt === 0 || left <= 0 || args[1] !== Number.POSITIVE_INFINITY) return args
  return [args[0], Date.now() + left, ...args.slice(2)]
}

/** Never throws. */
function followCall(call: unknown, owner: Carried): void {
  if (typeof call !== 'object' || call === null) return
  override(
    call,
    'start',
    original =>
      function start(this: unknown, ...args: unknown[]) {
        return Reflect.apply(original, this, [
          withCarried(args[0] as Metadata, owner),
          inOwnersName(args[1] as Listener, owner),
        ])
      },
  )
}

function withCarried(metadata: Metadata, owner: Carried): Metadata {
  if (owner === NOTHING) return metadata
  try {
    const all = metadata.clone()
    // The deadline is the call's own.
    addCarried(
      { ...owner, deadlineAt: 0 },
      { has: name => metadata.get(name).length > 0, add: (name, value) => all.set(name, value) },
      true,
    )
    return all
  } catch {
    return metadata
  }
}

/** What is answered comes from the connection too. */
function inOwnersName(listener: Listener, owner: Carried): Listener {
  const follow = (name: keyof Listener) => (value: unknown) => {
    if (owner === carried()) listener[name](value)
    else runWith(owner, () => listener[name](value))
  }
  return {
    onReceiveMetadata: follow('onReceiveMetadata'),
    onReceiveMessage: follow('onReceiveMessage'),
    onReceiveStatus: follow('onReceiveStatus'),
  }
}
