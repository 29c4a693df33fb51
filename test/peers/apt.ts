import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { withLock } from './cache.ts'
import { isExecutable, onPath, tool } from './find.ts'
import { must, run } from './shell.ts'
import type { Way } from './way.ts'

// Another apt may be at work (a fresh machine updates itself): wait for it rather than fail.
const INSTALL = ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300']

let updated: Promise<string> | null = null

/** Installs a Debian package and finds the binary on PATH. */
export function aptInstall(packageName: string, binaries: readonly string[]): Way {
  return {
    describe: `apt-get install ${packageName}`,
    cached: () => null, // what apt installs is on PATH, which is looked at first
    async obtain() {
      await installPackage(packageName)
      const path = onPath(binaries)
      if (path === null)
        throw new Error(`${packageName} is installed, but there is no ${binaries.join(' or ')} on PATH`)
      return path
    },
  }
}

/**
 * Downloads Debian packages and unpacks them into one folder of the cache; a service of theirs is neither installed nor
 * started at boot. The libraries that the binary needs are installed where the machine lacks them.
 */
export function aptUnpack(packages: readonly string[], binary: string): Way {
  return {
    describe: `apt-get download ${packages.join(' ')}, unpacked into the cache`,
    cached(folder) {
      const path = join(folder, binary)
      return isExecutable(path) ? path : null
    },
    async obtain(folder) {
      if (onPath(['apt-get']) === null) throw new Error('there is no apt-get on this machine')
      mkdirSync(dirname(folder), { recursive: true })
      const work = mkdtempSync(`${folder}.new-`)
      try {
        await orAfterUpdate(() =>
          must(tool('apt-get'), ['download', '-q', '-o', 'APT::Sandbox::User=root', ...packages], { cwd: work }),
        )
        const archives = readdirSync(work).filter(file => file.endsWith('.deb'))
        if (archives.length < packages.length)
          throw new Error(`apt-get download ${packages.join(' ')} left ${archives.length} packages`)
        const unpacked = join(work, 'unpacked')
        for (const archive of archives) await must(tool('dpkg-deb'), ['-x', join(work, archive), unpacked])
        await installLibraries(
          join(unpacked, binary),
          archives.map(archive => join(work, archive)),
        )
        rmSync(folder, { recursive: true, force: true })
        renameSync(unpacked, folder)
        return join(folder, binary)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}

async function installLibraries(binary: string, archives: readonly string[]): Promise<void> {
  if ((await missingLibraries(binary)).length === 0) return
  const depends = await Promise.all(archives.map(archive => must(tool('dpkg-deb'), ['-f', archive, 'Depends'])))
  const names = depends.flatMap(line => line.split(/[,|]/)).map(each => each.trim().split(/[ :]/)[0]!)
  const libraries = [...new Set(names)].filter(name => /^(lib|zlib)/.test(name))
  await orAfterUpdate(() => asRoot('apt-get', [...INSTALL, ...libraries]))
  const missing = await missingLibraries(binary)
  if (missing.length > 0) throw new Error(`it needs libraries this machine lacks: ${missing.join(', ')}`)
}

async function missingLibraries(binary: string): Promise<string[]> {
  const { output } = await run(tool('ldd'), [binary])
  const lines = output.split('\n').filter(line => line.includes('not found'))
  return lines.map(line => line.trim().split(' ')[0]!)
}

export async function installPackage(packageName: string): Promise<void> {
  if (onPath(['apt-get']) === null) throw new Error('there is no apt-get on this machine')
  await orAfterUpdate(() => asRoot('apt-get', [...INSTALL, packageName]))
}

/**
 * A fresh machine knows no packages yet, an old one wrong ones: on the first failure the lists are brought up to date,
 * once a process. One process at a time: apt does not wait for the lists of another.
 */
function orAfterUpdate<T>(work: () => Promise<T>): Promise<T> {
  return withLock('apt', () => triedTwice(work))
}

async function triedTwice<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Error) || error instanceof NotRoot) throw error
    updated ??= asRoot('apt-get', ['update', '-q'])
    await updated.catch((updateError: Error) => {
      throw new Error(`${error.message}; and ${updateError.message}`)
    })
    return await work()
  }
}

class NotRoot extends Error {}

async function asRoot(command: string, args: readonly string[]): Promise<string> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  if (process.getuid?.() === 0) return await must(tool(command), args, { env })
  // -n: never ask for a password, a test run has nobody to type it
  if ((await run(tool('sudo'), ['-n', 'true'])).code !== 0)
    throw new NotRoot(`${command} ${args[0]} needs root: not root, and sudo asks for a password or is missing`)
  return await must(tool('sudo'), ['-n', 'env', 'DEBIAN_FRONTEND=noninteractive', command, ...args])
}
