import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../../integration/support/child.ts'
import { startDocker } from './docker.ts'
import { IMAGE, loadImage } from './image.ts'

/** Holds the namespaces of a pod, and does nothing. */
export const SANDBOX = 'outrigger-sandbox:test'

/** Tars of our image and of the one of sandboxes. */
export async function nodeImages(): Promise<string[]> {
  await using machine = await startDocker()
  const own = await loadImage(machine)
  const folder = temporaryFolder()
  writeFileSync(
    join(folder, 'Dockerfile'),
    `FROM ${IMAGE}\nENTRYPOINT ["/usr/local/bin/node", "-e", "setInterval(() => {}, 1e9)"]\n`,
  )
  const sandbox = join(folder, 'sandbox.tar')
  await machine.docker(['build', '-q', '-t', SANDBOX, folder])
  await machine.docker(['save', '-o', sandbox, SANDBOX])
  return [own, sandbox]
}
