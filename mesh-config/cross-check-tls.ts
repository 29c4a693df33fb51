import { type Located, nodeAt, type Say } from './located.ts'
import { entriesAt } from './look.ts'

/** Checks of the `tls` of services. */
export function crossCheckTls(root: Located, say: Say): void {
  for (const [, policy] of entriesAt(root, ['services'])) checkCertificatePair(nodeAt(policy, ['tls']), 'tls', say)
}

/** `tls`: a map with `cert` and `key`, at that path. */
export function checkCertificatePair(tls: Located | null, path: string, say: Say): void {
  if (tls === null) return
  const cert = nodeAt(tls, ['cert'])
  const key = nodeAt(tls, ['key'])
  if ((cert === null) !== (key === null))
    say((cert ?? key)!.at, `a certificate and its key go together: add ${path}.${cert === null ? 'cert' : 'key'}`)
}
