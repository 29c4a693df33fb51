import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isExecutable, onPath } from './find.ts'
import { findGo, goEnvironment } from './go.ts'
import { must } from './shell.ts'
import type { Way } from './way.ts'

/** v1.22.7 was tagged with an api/ newer than the v1.33.7 that its go.mod names. */
const API = 'v1.34.1'

/**
 * Builds Consul from the Go module proxy: four minutes on two cores. Consul's go.mod has `replace` lines, so `go install pkg@version` is refused; a module that merely requires it
 * ignores them and takes the published versions.
 */
export function consulBuild(version: string): Way {
  const place = (folder: string) => join(`${folder}-${version}`, 'consul')
  return {
    describe: `go build github.com/hashicorp/consul@v${version}`,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder) {
      const go = await findGo(folder)
      mkdirSync(dirname(folder), { recursive: true })
      const work = mkdtempSync(`${folder}.new-`)
      try {
        const options = { cwd: work, env: await goEnvironment(go), timeoutMs: 1_800_000 }
        await must(go, ['mod', 'init', 'peers/consul'], options)
        await must(go, ['get', `github.com/hashicorp/consul@v${version}`, `github.com/hashicorp/consul/api@${API}`], options)
        const built = join(work, 'built')
        mkdirSync(built)
        await must(go, ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(built, 'consul'), 'github.com/hashicorp/consul'], options)
        rmSync(`${folder}-${version}`, { recursive: true, force: true })
        renameSync(built, `${folder}-${version}`)
        return place(folder)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}

/**
 * Consul 1.8.7, from a Debian that still had it: seconds, but without what came later, such as the mark of filtered answers. A private apt root leaves the configuration of the machine alone
 * and keeps the signature checks on.
 */
export function consulFromOldDebian(): Way {
  const place = (folder: string) => join(`${folder}-debian`, 'consul')
  return {
    describe: 'apt-get download consul, of Debian 11',
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder) {
      if (onPath(['apt-get']) === null) throw new Error('there is no apt-get on this machine')
      mkdirSync(dirname(folder), { recursive: true })
      const work = mkdtempSync(`${folder}.new-`)
      try {
        chmodSync(work, 0o755)
        for (const part of ['etc/apt.conf.d', 'etc/preferences.d', 'state/lists/partial', 'cache/archives/partial', 'out'])
          mkdirSync(join(work, part), { recursive: true })
        writeFileSync(join(work, 'status'), '')
        const architecture = (await must('dpkg', ['--print-architecture'])).trim()
        const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
        writeFileSync(join(work, 'sources.list'), `deb [arch=${architecture} signed-by=${keys}] ${mirror()} bullseye main\n`)
        const settings = [
          `Dir::Etc=${work}/etc`,
          `Dir::Etc::SourceList=${work}/sources.list`,
          'Dir::Etc::SourceParts=/dev/null',
          `Dir::State=${work}/state`,
          `Dir::State::status=${work}/status`,
          `Dir::Cache=${work}/cache`,
          'APT::Sandbox::User=root',
          'Acquire::Languages=none',
        ].flatMap(setting => ['-o', setting])
        await must('apt-get', [...settings, '-qq', 'update'])
        await must('apt-get', [...settings, '-qq', 'download', 'consul'], { cwd: join(work, 'out') })
        const deb = readdirSync(join(work, 'out')).find(file => file.endsWith('.deb'))
        if (deb === undefined) throw new Error('apt-get download consul left no package')
        await must('dpkg-deb', ['-x', join(work, 'out', deb), join(work, 'unpacked')])
        mkdirSync(`${folder}-debian`, { recursive: true })
        copyFileSync(join(work, 'unpacked/usr/bin/consul'), place(folder))
        chmodSync(place(folder), 0o755)
        return place(folder)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}

/** That of the machine itself. */
function mirror(): string {
  const files = ['/etc/apt/sources.list', ...list('/etc/apt/sources.list.d')]
  const text = files.map(read).join('\n')
  const found = /https?:\/\/[^\s]+\/debian\/?(?=\s|$)/.exec(text)?.[0]
  if (found === undefined) throw new Error('apt of this machine has no Debian archive in its sources')
  return found
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).map(name => join(folder, name))
  } catch {
    return []
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
