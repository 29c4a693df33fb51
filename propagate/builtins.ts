import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)

/**
 * A module of Node, by `require`: an `import` of node:http would read all its exports, of which some load undici and
 * http2 when they are read.
 */
export const net = load('node:net') as typeof import('node:net')
export const http = load('node:http') as typeof import('node:http')

const { moduleLoadList = [] } = process as { readonly moduleLoadList?: readonly string[] }

/** Only once the application has loaded it: it costs 16 MB. */
export function http2IfLoaded(): typeof import('node:http2') | null {
  return isLoaded('http2') ? (load('node:http2') as typeof import('node:http2')) : null
}

export function httpsIfLoaded(): typeof import('node:https') | null {
  return isLoaded('https') ? (load('node:https') as typeof import('node:https')) : null
}

function isLoaded(name: string): boolean {
  return moduleLoadList.includes(`NativeModule ${name}`)
}

type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * Puts another method over one of a prototype, an inherited one too. `around` gets the method it stands for, and calls
 * it exactly once with what the application gave.
 */
export function override(prototype: object, name: string, around: (original: Method) => Method): void {
  const original = (prototype as Record<string, unknown>)[name]
  if (typeof original !== 'function') return
  Object.defineProperty(prototype, name, {
    value: around(original as Method),
    configurable: true,
    writable: true,
    enumerable: false,
  })
}
