import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../integration/support/child.ts'
import { cacheFolder, withLock } from '../../peers/cache.ts'
import { loadBaseImage } from './base-image.ts'
import type { Docker } from './docker.ts'

export const IMAGE = 'outrigger:test'

/** Builds our image from the Dockerfile as users do, once for these sources, and loads it. The tar, for other runtimes. */
export async function loadImage(docker: Docker): Promise<string> {
  const tar = await builtImage(docker)
  await docker.docker(['load', '-i', tar])
  return tar
}

/** The tar alone. To build it, Docker must be in a network that leads to package registries. */
export function builtImage(docker: Docker): Promise<string> {
  return withLock('image', () => imageTar(docker))
}

async function imageTar(docker: Docker): Promise<string> {
  const kept = join(cacheFolder(), `outrigger-${digest()}.tar`)
  if (existsSync(kept)) return kept
  removeOld()
  await loadBaseImage(docker)
  const labels = [
    '--build-arg',
    'VERSION=0.1.0-test',
    '--build-arg',
    'REVISION=abc',
    '--build-arg',
    'CREATED=2026-11-30',
  ]
  await docker.docker(['build', '--network', 'host', '-t', IMAGE, ...labels, root], 1_200_000)
  await docker.docker(['save', '-o', `${kept}.new`, IMAGE])
  renameSync(`${kept}.new`, kept)
  return kept
}

const DAY_MS = 24 * 3_600_000

/** Several clones may share the cache, each with an image of its own. */
function removeOld(): void {
  for (const name of readdirSync(cacheFolder()).filter(each => /^outrigger-\w+\.tar/.test(each))) {
    const file = join(cacheFolder(), name)
    if (Date.now() - statSync(file).mtimeMs > DAY_MS) rmSync(file)
  }
}

/** Of what .dockerignore lets into the build, and of the Dockerfile. */
function digest(): string {
  const hash = createHash('sha256')
  const entries = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter(line => line.startsWith('!'))
  for (const entry of ['Dockerfile', ...entries.map(line => line.slice(1))]) {
    const path = join(root, entry)
    if (!existsSync(path)) continue
    const files = statSync(path).isDirectory() ? readdirSync(path, { recursive: true, encoding: 'utf8' }).sort() : ['']
    for (const file of files) {
      const full = join(path, file)
      if (statSync(full).isFile()) hash.update(`${entry}/${file}\0`).update(readFileSync(full))
    }
  }
  return hash.digest('hex').slice(0, 16)
}
