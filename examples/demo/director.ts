import { setTimeout as sleep } from 'node:timers/promises'
import type { Mesh } from './mesh/mesh.ts'
import { instancesOf, services, usualSplit } from './mesh/plan.ts'
import type { Split } from './mesh/sidecar-file.ts'

/** What can be done to the mesh, each told as it is done. */
export interface Actions {
  kill(name: string): void
  bringBack(name: string): Promise<void>
  slow(name: string, ms: number): Promise<void>
  heal(name: string): Promise<void>
  split(split: Split): void
  /** As at the start. */
  restore(): Promise<void>
  /** One that is well, and may go without leaving its service empty; null: there is none. */
  spare(): string | null
}

export type Tell = (text: string) => void

export function actions(mesh: Mesh, tell: Tell): Actions {
  const { instances } = mesh.plan
  const acts: Actions = {
    kill(name) {
      if (mesh.isDown(name)) return
      mesh.kill(name)
      tell(`killed ${name} (kill -9): the application and its sidecar`)
    },
    async bringBack(name) {
      if (!mesh.isDown(name)) return
      const startedAt = performance.now()
      await mesh.bringBack(name)
      tell(`brought ${name} back: ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    },
    async slow(name, ms) {
      if (mesh.isDown(name)) return
      await mesh.slow(name, ms)
      tell(`slowed ${name}: every answer takes ${ms} ms longer`)
    },
    async heal(name) {
      if (mesh.slowMs(name) === 0) return
      await mesh.slow(name, 0)
      tell(`healed ${name}: as fast as before`)
    },
    split({ v1, v2 }) {
      if (mesh.currentSplit().v1 === v1) return
      mesh.split({ v1, v2 })
      tell(`edited web-1.yaml: payments v1 ${v1} %, v2 ${v2} % (the sidecar reloads it by itself)`)
    },
    async restore() {
      await Promise.all(instances.map(({ name }) => (mesh.isDown(name) ? acts.bringBack(name) : acts.heal(name))))
      acts.split(usualSplit)
    },
    spare() {
      const spare = Object.keys(services).flatMap(service => {
        const well = instancesOf(mesh.plan, service).filter(({ name }) => !mesh.isDown(name) && mesh.slowMs(name) === 0)
        return well.filter(({ version }) => well.filter(other => other.version === version).length > 1)
      })
      return spare.length === 0 ? null : spare[Math.floor(Math.random() * spare.length)]!.name
    },
  }
  return acts
}

/**
 * Everyone has seen these two: three instances of orders, so that two carry on, and two of stock, so that one is left
 * with all of it.
 */
export const killed = 'orders-2'
export const slowed = 'stock-1'
export const SLOW_MS = 400
export const evenSplit: Split = { v1: 50, v2: 50 }

/** About a minute, again and again, until `signal`. */
export async function direct(acts: Actions, tell: Tell, signal: AbortSignal): Promise<void> {
  const wait = (seconds: number) => sleep(seconds * 1000, undefined, { signal })
  tell('all is well: watch the shares')
  try {
    for (;;) {
      await wait(6)
      acts.kill(killed)
      await wait(10)
      await acts.bringBack(killed)
      await wait(12)
      await acts.slow(slowed, SLOW_MS)
      await wait(11)
      await acts.heal(slowed)
      await wait(7)
      acts.split(evenSplit)
      await wait(10)
      acts.split(usualSplit)
      await wait(4)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
