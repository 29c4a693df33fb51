import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../../test/peers/obtain.ts'
import { start, temporaryFolder } from '../children.ts'
import { askHttp2, h2load } from '../h2load.ts'
import { freePort } from '../ports.ts'
import { waitUntil } from '../ready.ts'
import { type Backends, NO_BODY, type Traffic } from './traffic.ts'

export const h2: Traffic = {
  name: 'h2',
  first: { path: '/small', body: NO_BODY },
  startBackends,
  ask: (port, asked, timeoutMs) => askHttp2(port, asked, {}, timeoutMs),
  load: load => h2load(load, {}),
}

/** nghttpd: nothing else serves files over HTTP/2 as cheaply. Its default windows would throttle large bodies. */
async function startBackends(): Promise<Backends> {
  const folder = join(temporaryFolder(), 'h2-www')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'small'), 'ok\n')
  writeFileSync(join(folder, '1m'), Buffer.alloc(1024 * 1024, 'x'))
  const command = await obtain('nghttpd')
  const ports = [await freePort(), await freePort(), await freePort()]
  const children = ports.map(port =>
    start(
      'nghttpd',
      { command, args: ['--no-tls', '-d', folder, '-m', '1000', '-w', '20', '-W', '24', `${port}`] },
      null,
    ),
  )
  await Promise.all(
    children.map((child, index) => waitUntil(child, () => h2.ask(ports[index]!, h2.first, 1000), 10_000)),
  )
  return { ports, children }
}
