import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { root, run, temporaryFolder } from './support/child.ts'

/** The units of deploy/systemd, read by systemd's own program: it knows every key and every value. */
test.each(['outrigger@.service', 'outrigger-intercept@.service', 'outrigger-agent.service'])(
  '%s is what systemd reads',
  async name => {
    const folder = temporaryFolder()
    const text = readFileSync(join(root, 'deploy/systemd', name), 'utf8')
    // The program must be there.
    writeFileSync(join(folder, name), text.replaceAll('/usr/bin/outrigger', '/bin/true'))
    const unit = join(folder, name.replace('@', '@orders'))
    if (unit !== join(folder, name)) symlinkSync(join(folder, name), unit)
    const { code, out, err } = await run(await obtain('systemd-analyze'), ['verify', '--man=no', unit])
    // Of our file: the machine may have units of its own that it complains of.
    const ours = (out + err).split('\n').filter(line => line.includes('outrigger'))
    expect({ code, ours }).toEqual({ code: 0, ours: [] })
  },
)
