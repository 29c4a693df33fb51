import type { Mesh } from './mesh/mesh.ts'
import type { Style } from './view/style.ts'

/** Starts all of it, and says how far it is. Rejects with a text for the user when something does not start. */
export async function startMesh(mesh: Mesh, { bold, dim, cyan, glyphs }: Style, quit: AbortSignal): Promise<void> {
  const { stdout } = process
  const startedAt = performance.now()
  const seconds = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
  let all = 0
  let up = 0
  const line = () =>
    ` ${bold('outrigger demo')}  ${cyan(glyphs.bar.repeat(up * 2))}${dim(glyphs.track.repeat((all - up) * 2))}  ${up} of ${all} services and sidecars ready  ${dim(seconds())}`
  const redraw = () => stdout.write(`\r${line()}\x1b[K`)
  const timer = stdout.isTTY ? setInterval(redraw, 100) : null
  if (!stdout.isTTY)
    stdout.write(
      `starting ${mesh.plan.instances.length} instances, each a service and its sidecar; files in ${mesh.folder}\n`,
    )
  const left = new Promise<void>(resolve => quit.addEventListener('abort', () => resolve(), { once: true }))
  try {
    await Promise.race([
      left,
      mesh.start((ready, of) => {
        up = ready
        all = of
        if (timer !== null) redraw()
      }),
    ])
    if (timer === null && !quit.aborted) stdout.write(`all ready after ${seconds()}\n`)
  } catch (error) {
    // Before the reason is told: what did start is stopped.
    mesh.keepFiles()
    await mesh.stop()
    throw error
  } finally {
    if (timer !== null) {
      clearInterval(timer)
      stdout.write('\n')
    }
  }
}
