import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onPath, tool } from './find.ts'
import { must } from './shell.ts'

/**
 * Unpacks packages of Debian 11 into `folder`, for what later ones no longer have. A private apt root in `work` leaves
 * the configuration of the machine alone and keeps the signature checks on.
 */
export async function unpackFromDebian11(packages: readonly string[], work: string, folder: string): Promise<void> {
  if (onPath(['apt-get']) === null) throw new Error('there is no apt-get on this machine')
  chmodSync(work, 0o755)
  for (const part of ['etc/apt.conf.d', 'etc/preferences.d', 'state/lists/partial', 'cache/archives/partial', 'out'])
    mkdirSync(join(work, part), { recursive: true })
  writeFileSync(join(work, 'status'), '')
  const architecture = (await must(tool('dpkg'), ['--print-architecture'])).trim()
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
  await must(tool('apt-get'), [...settings, '-qq', 'update'])
  await must(tool('apt-get'), [...settings, '-qq', 'download', ...packages], { cwd: join(work, 'out') })
  const archives = readdirSync(join(work, 'out')).filter(file => file.endsWith('.deb'))
  if (archives.length < packages.length)
    throw new Error(`apt-get download ${packages.join(' ')} left ${archives.length} packages`)
  for (const archive of archives) await must(tool('dpkg-deb'), ['-x', join(work, 'out', archive), folder])
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
