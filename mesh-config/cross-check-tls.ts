import { type Located, nodeAt, type Say } from './located.ts'
import { entriesAt, itemsAt, scalarAt } from './look.ts'

/** Checks of the `tls` of services and listeners. */
export function crossCheckTls(root: Located, say: Say): void {
  for (const [, policy] of entriesAt(root, ['services'])) checkCertificatePair(nodeAt(policy, ['tls']), 'tls', say)
  for (const item of itemsAt(root, ['inbound'])) {
    const tls = nodeAt(item, ['tls'])
    if (tls !== null && scalarAt(item, ['transparent'])?.value === true)
      say(tls.at, 'connections that are redirected here are passed on as they came: remove tls, or transparent')
  }
}

/** `tls`: a map with `cert` and `key`, at that path. */
export function checkCertificatePair(tls: Located | null, path: string, say: Say): void {
  if (tls === null) return
  const cert = nodeAt(tls, ['cert'])
  const key = nodeAt(tls, ['key'])
  if ((cert === null) !== (key === null))
    say((cert ?? key)!.at, `a certificate and its key go together: add ${path}.${cert === null ? 'cert' : 'key'}`)
}
