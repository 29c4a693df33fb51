import { formatAddress, isLoopback, parseAddress } from './address.ts'
import type { Located, Say } from './located.ts'
import { itemsAt, scalarAt, textAt } from './look.ts'
import { usualPorts } from './usual-ports.ts'

/** What the name server listens on when the file does not say. */
export const defaultDns = `127.0.0.1:${usualPorts.dns}`

/** The name server of the file: who may ask it, and that it does not ask itself. */
export function crossCheckDns(root: Located, say: Say): void {
  const listen = textAt(root, ['dns', 'listen'])
  const address = listen === null ? parseAddress(defaultDns) : parseAddress(listen.value)
  if (address === null) return
  if (!isLoopback(address.address) && scalarAt(root, ['dns', 'remote'])?.value !== true)
    say(
      listen!.at,
      `other machines reach ${formatAddress(address)}, and could use it to flood a third one: write 127.0.0.1:${address.port}, or add remote: true`,
    )
  for (const server of itemsAt(root, ['dns', 'servers'])) {
    const written = textAt(server, [])
    const target = written === null ? null : parseAddress(written.value)
    if (target !== null && formatAddress(target) === formatAddress(address))
      say(written!.at, 'this is the name server of this sidecar itself: write the one that knows all other names')
  }
}
