import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { node } from '../../integration/support/child.ts'
import { npmProgram } from '../../integration/support/machine.ts'
import { cacheFolder, withLock } from '../../peers/cache.ts'
import { tool } from '../../peers/find.ts'
import { must } from '../../peers/shell.ts'
import type { Docker } from './docker.ts'

const APT = '/etc/apt'
export const BASE = 'node:26-slim'

/**
 * `node:26-slim`, made here because no registry of images may be reached: a minimal Debian by debootstrap, Node 26 and
 * npm. The settings of apt and the certificates of this machine go along, or nothing could be installed in a build.
 */
export async function loadBaseImage({ docker }: Docker): Promise<void> {
  await docker(['load', '-i', await withLock('base-image', () => baseImage(docker))])
}

async function baseImage(docker: Docker['docker']): Promise<string> {
  const kept = join(cacheFolder(), 'node-26-slim.tar')
  if (existsSync(kept)) return kept
  const work = mkdtempSync(join(cacheFolder(), 'base-image-'))
  try {
    await makeRoot(join(work, 'root'))
    await makeNode(join(work, 'node'))
    writeFileSync(
      join(work, 'Dockerfile'),
      `FROM scratch
ADD root /
COPY node /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]
`,
    )
    await docker(['build', '-q', '-t', BASE, work])
    const tar = join(work, 'image.tar')
    await docker(['save', '-o', tar, BASE])
    renameSync(tar, kept)
    return kept
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function makeRoot(root: string): Promise<void> {
  await must(tool('debootstrap'), ['--variant=minbase', '--include=ca-certificates,libatomic1', 'bookworm', root], {
    timeoutMs: 1_200_000,
  })
  for (const name of [
    'usr/share/doc',
    'usr/share/man',
    'usr/share/locale',
    'var/cache/apt/archives',
    'var/lib/apt/lists',
  ])
    rmSync(join(root, name), { recursive: true, force: true })
  rmSync(join(root, APT, 'sources.list'), { force: true })
  for (const name of ['sources.list', 'sources.list.d', 'apt.conf.d', 'keyrings', 'trusted.gpg.d']) {
    if (existsSync(join(APT, name))) cpSync(join(APT, name), join(root, APT, name), { recursive: true })
  }
  // Hooks of a machine's apt may name programs that the image does not have.
  for (const name of readdirSync(join(root, APT, 'apt.conf.d'))) {
    if (/packagekit|appstream|listchanges|needrestart/.test(name)) rmSync(join(root, APT, 'apt.conf.d', name))
  }
  cpSync('/etc/ssl/certs/ca-certificates.crt', join(root, 'etc/ssl/certs/ca-certificates.crt'), { dereference: true })
}

async function makeNode(folder: string): Promise<void> {
  const [bin, modules] = [join(folder, 'usr/local/bin'), join(folder, 'usr/local/lib/node_modules')]
  mkdirSync(bin, { recursive: true })
  mkdirSync(modules, { recursive: true })
  cpSync(node, join(bin, 'node'))
  const work = mkdtempSync(join(folder, 'npm-'))
  writeFileSync(join(work, 'package.json'), '{"private":true}')
  await must(npmProgram('npm'), ['install', '--silent', '--no-audit', '--no-fund', '--no-save', 'npm@11'], {
    cwd: work,
  })
  renameSync(join(work, 'node_modules/npm'), join(modules, 'npm'))
  rmSync(work, { recursive: true })
  for (const name of ['npm', 'npx']) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name))
}
