import { join } from 'node:path'
import { type Child, node, startChild } from './child.ts'
import { freePort } from './ports.ts'

export interface Backend extends Child {
  readonly port: number
  readonly address: string
}

/** An application in a process of its own (backend-process.ts says what it answers). */
export async function startBackend(port?: number): Promise<Backend> {
  const own = port ?? (await freePort())
  const child = startChild(node, [join(import.meta.dirname, 'backend-process.ts')], { PORT: String(own) })
  await child.said('a backend that listens', out => out.includes('listens'))
  return { ...child, port: own, address: `127.0.0.1:${own}` }
}

export function startBackends(count: number): Promise<Backend[]> {
  return Promise.all(Array.from({ length: count }, () => startBackend()))
}
