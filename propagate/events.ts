import { override } from './builtins.ts'
import { type Carried, carried, runWith } from './context.ts'

/**
 * Events of a request or a stream are emitted by its connection, which knows nothing of requests: a listener of
 * `request.on('end', ...)` would run for none, or for the one that opened the connection. So objects that belong to one
 * request remember which, and their listeners run for it.
 */
const OWNER = Symbol('outrigger.propagate')
const FOLLOWED = Symbol('outrigger.propagate.events')

interface Owned {
  [OWNER]?: Carried
}

export function ownerOf(emitter: object): Carried | undefined {
  return (emitter as Owned)[OWNER]
}

export function setOwner(emitter: object, owner: Carried): void {
  ;(emitter as Owned)[OWNER] = owner
}

/** From now on, listeners of the objects with this prototype run for the owner of the object. */
export function followEvents(prototype: object): void {
  if (Object.hasOwn(prototype, FOLLOWED)) return
  Object.defineProperty(prototype, FOLLOWED, { value: true })
  override(
    prototype,
    'emit',
    original =>
      function emit(this: unknown, ...args: unknown[]) {
        const owner = (this as Owned)[OWNER]
        if (owner === undefined || owner === carried()) return Reflect.apply(original, this, args)
        return runWith(owner, Reflect.apply, original, this, args)
      },
  )
}
