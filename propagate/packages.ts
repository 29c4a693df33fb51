import Module from 'node:module'
import { override } from './builtins.ts'

interface Wanted {
  /** Of the name in `require`, or of the file when a module imports the package. */
  readonly pattern: RegExp
  readonly follow: (exports: unknown) => void
}

const wanted: Wanted[] = []

/**
 * Calls `follow` with the application's own copy of a package, as often as it is required; what it throws is dropped.
 * For packages that are CommonJS: they come by this door also where a module imports them.
 */
export function whenLoaded(pattern: RegExp, follow: (exports: unknown) => void): void {
  if (wanted.push({ pattern, follow }) > 1) return
  override(
    Module,
    '_load',
    original =>
      function _load(this: unknown, ...args: unknown[]) {
        const exports = Reflect.apply(original, this, args)
        const [name] = args
        if (typeof name === 'string') for (const each of wanted) if (each.pattern.test(name)) tell(each, exports)
        return exports
      },
  )
}

function tell({ follow }: Wanted, exports: unknown): void {
  try {
    follow(exports)
  } catch {
    // Being loaded in a circle, or of a version of another shape: its calls go out as they are.
  }
}
