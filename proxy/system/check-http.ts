import { formatAddress } from '../../mesh-config/address.ts'
import type { AddressSpec, ApplicationCheckSpec } from '../../mesh-config/snapshot.ts'
import { askPort } from './check-port.ts'

type HttpCheck = Extract<ApplicationCheckSpec, { kind: 'http' }>

/** GET by HTTP/1.1; only the status line of the answer is read. node:http would be loaded for nothing else. */
export function checkHttp(address: AddressSpec, { path, statuses, timeoutMs }: HttpCheck): Promise<string> {
  const host = formatAddress(address)
  const url = `GET http://${host}${path}`
  const request = Buffer.from(
    `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nuser-agent: outrigger-check\r\naccept: */*\r\nconnection: close\r\n\r\n`,
    'latin1',
  )
  const read = (soFar: Buffer) => {
    const end = soFar.indexOf('\n')
    if (end === -1) return undefined
    const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(soFar.toString('latin1', 0, end))?.[1]
    if (status === undefined) return `${url}: the answer is not HTTP/1.1`
    const isGood = statuses.some(([from, to]) => Number(status) >= from && Number(status) <= to)
    return isGood ? '' : `${url} answers ${status}`
  }
  return new Promise(resolve =>
    askPort(address, timeoutMs, { request, read }, trouble =>
      resolve(trouble === '' || trouble.startsWith('GET ') ? trouble : `${url}: ${trouble}`),
    ),
  )
}
