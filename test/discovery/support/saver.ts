import type { EndpointSpec } from '../../../mesh-config/snapshot.ts'
import { lastKnown } from '../../../proxy/discovery/last-known.ts'
import { systemClock } from '../../../proxy/system/clock.ts'

/**
 * Saves sets of equal endpoints, one after the other, for as long as it lives: `node saver.ts folder first`. Says so
 * once the first is on the disk.
 */
const [folder, first] = process.argv.slice(2)
const quiet = () => {}
const remembered = lastKnown({
  folder: folder!,
  clock: systemClock,
  log: { debug: quiet, info: quiet, warn: line => process.stdout.write(`${line}\n`), error: quiet },
})
const endpoint: EndpointSpec = {
  address: '10.0.0.1',
  port: 80,
  weight: 1,
  priority: 0,
  zone: '',
  metadata: {},
  health: 'passing',
  healthReason: '',
}
for (let weight = Number(first); ; weight++) {
  remembered.put(
    'orders',
    'consul',
    Array.from({ length: 2_000 }, (_, i) => ({ ...endpoint, port: i + 1, weight })),
  )
  await remembered.flush()
  if (weight === Number(first)) process.stdout.write('saved\n')
}
