import { type Located, nodeAt, type Say } from './located.ts'
import { itemsAt, scalarAt, textAt } from './look.ts'

/** Checks of listeners that connections are redirected to, and of settings that only those have. */
export function crossCheckTransparent(root: Located, say: Say): void {
  for (const item of itemsAt(root, ['outbound'])) {
    if (!isTransparent(item)) {
      const passThrough = nodeAt(item, ['passThrough'])
      if (passThrough !== null && !isDefault(passThrough))
        say(
          passThrough.at,
          'passThrough is about redirected connections, and none are redirected here: add transparent: true',
        )
      continue
    }
    const service = textAt(item, ['service'])
    if (service !== null)
      say(
        service.at,
        'redirected connections go where they were going, and this port is for one service: remove service:, or transparent:',
      )
    const connect = nodeAt(item, ['connect'])
    if (connect !== null)
      say(
        connect.at,
        'a redirected CONNECT is for the proxy that its client named: write connect: at a listener without transparent:',
      )
  }
  for (const item of itemsAt(root, ['inbound'])) {
    const forward = nodeAt(item, ['forward'])
    if (isTransparent(item)) continue
    if (forward === null && item.kind === 'map')
      say(
        item.at,
        '"forward" is missing (the address of the application): write forward: 127.0.0.1:3000, or transparent: true where connections are redirected here',
      )
  }
}

function isTransparent(item: Located): boolean {
  return scalarAt(item, ['transparent'])?.value === true
}

/** As `config effective` shows it for every listener. */
function isDefault(passThrough: Located): boolean {
  return passThrough.kind === 'scalar' && (passThrough.value === null || passThrough.value === 'allow')
}
