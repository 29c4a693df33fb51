import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isExecutable, tool } from './find.ts'
import { unpackFromDebian11 } from './old-debian.ts'
import { findPip } from './pypi.ts'
import { must } from './shell.ts'
import type { Way } from './way.ts'

const SUITE = 'autobahntestsuite==0.8.2'
const DEBIAN = ['python2.7', 'python2.7-minimal', 'libpython2.7-minimal', 'libpython2.7-stdlib', 'libssl1.1', 'libffi7']
const TOOLS = ['pip==20.3.4', 'setuptools==44.1.1', 'wheel==0.37.1']
/**
 * Without the extra `accelerate`, which no longer builds for Python 2; with the last versions that Python 2 can read.
 */
const NEEDS = [
  'autobahn[twisted]==0.10.9',
  'twisted==19.10.0',
  'werkzeug<1',
  'klein<20',
  'jinja2<3',
  'markupsafe<2',
  'pyopenssl<22',
  'service_identity<20',
  'txaio==2.1.0',
  'unittest2',
  'mock==3.0.5',
]

/**
 * Autobahn's WebSocket suite is a program of Python 2, which Debian 11 had last; the rest comes from PyPI. Nothing is
 * installed.
 */
export function autobahn(): Way {
  const place = (folder: string) => join(folder, 'wstest')
  return {
    describe: `Python 2.7 of Debian 11 and pip install ${SUITE}, into the cache`,
    cached: folder => (isExecutable(place(folder)) ? place(folder) : null),
    async obtain(folder, tell) {
      const pip = await findPip()
      mkdirSync(dirname(folder), { recursive: true })
      rmSync(folder, { recursive: true, force: true })
      const work = mkdtempSync(`${folder}.new-`)
      try {
        tell('Python 2.7')
        await unpackFromDebian11(DEBIAN, work, folder)
        const site = join(folder, 'site')
        const packages = join(folder, 'usr/lib/python2.7/dist-packages')
        for (const part of [site, packages]) mkdirSync(part, { recursive: true })
        const python = script(
          join(folder, 'python2.7'),
          `R=${folder}/usr\nexport LD_LIBRARY_PATH=$R/lib/x86_64-linux-gnu:$R/lib PYTHONHOME=$R PYTHONPATH=${site} PYTHONDONTWRITEBYTECODE=1\nexec $R/bin/python2.7 "$@"`,
        )
        const wheels = join(work, 'wheels')
        await must(tool('python3'), [...pip, 'download', '-q', '--no-deps', '-d', wheels, ...TOOLS])
        for (const wheel of readdirSync(wheels))
          await must(tool('python3'), ['-m', 'zipfile', '-e', join(wheels, wheel), packages])
        const install = [
          '-m',
          'pip',
          'install',
          '-q',
          '--disable-pip-version-check',
          '--no-build-isolation',
          '--no-warn-script-location',
          '--target',
          site,
        ]
        const env = { PIP_CERT: process.env.PIP_CERT ?? '/etc/ssl/certs/ca-certificates.crt', TMPDIR: work }
        tell('its packages')
        await must(python, [...install, ...NEEDS], { env })
        await must(python, [...install, '--no-deps', SUITE], { env })
        writeFileSync(join(site, 'zope/__init__.py'), '')
        // Last: what is there is whole.
        return script(place(folder), `exec ${python} -c "from autobahntestsuite import wstest; wstest.run()" "$@"`)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}

function script(file: string, text: string): string {
  writeFileSync(file, `#!/bin/sh\n${text}\n`)
  chmodSync(file, 0o755)
  return file
}
