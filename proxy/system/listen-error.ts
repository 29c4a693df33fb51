import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { formatAddress } from '../../mesh-config/address.ts'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import { holdersOf } from './port-holders.ts'

/** How many ports above the taken one are tried for a suggestion. */
const SUGGESTIONS = 20

/** Explains an error of listening and what to do about it. Never rejects. */
export async function explainListen(error: unknown, address: AddressSpec): Promise<string> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'EADDRINUSE') return explainInUse(address)
  if (code === 'EACCES' || code === 'EPERM') {
    const first = await firstFreeForAll()
    if (address.port < first)
      return `permission denied (${code}): ports below ${first} are for root and for CAP_NET_BIND_SERVICE (under systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE); give it that, or a port from ${first} on`
    return `permission denied (${code}): a security policy of this machine forbids it; allow this port there, or choose another one`
  }
  if (code === 'EADDRNOTAVAIL')
    return `no interface of this machine has this address (${code}): write ${ownAddresses()}, or 0.0.0.0 for all of them; an address that comes later needs net.ipv4.ip_nonlocal_bind`
  if (code === 'EAFNOSUPPORT') return `this machine has no IPv6 (${code}): write an IPv4 address`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `the name is not known here (${code}): write an address of this machine`
  if (code === 'EMFILE' || code === 'ENFILE')
    return `no file descriptor is left (${code}): raise the limit (ulimit -n, under systemd LimitNOFILE=)`
  return error instanceof Error ? error.message : String(error)
}

/** The process that has the port, as far as that can be known. */
export async function explainInUse(address: AddressSpec): Promise<string> {
  const holders = await holdersOf(address)
  const free = await freePortAfter(address)
  const other = free === null ? 'choose another port' : `choose another port: ${free} is free`
  const known = holders.filter(({ pid }) => pid !== null).map(({ pid, program }) => `${program} (pid ${pid})`)
  const who =
    known.length > 0
      ? `: ${known.join(' and ')} listens there`
      : holders.length > 0
        ? ': a process of another user or container listens there ("ss -ltnp" as root names it)'
        : ''
  return `address already in use (EADDRINUSE)${who}; end that, or ${other}`
}

/** The lowest port without a privilege. */
async function firstFreeForAll(): Promise<number> {
  const text = await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(() => '1024')
  return Number.parseInt(text, 10)
}

function ownAddresses(): string {
  const all = Object.values(networkInterfaces()).flatMap(each => each ?? [])
  return all
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address)
    .slice(0, 4)
    .join(' or ')
}

async function freePortAfter({ address, port }: AddressSpec): Promise<string | null> {
  for (let next = port + 1; next <= Math.min(port + SUGGESTIONS, 65_535); next++) {
    const candidate = { address, port: next }
    if ((await whyNotOpen(candidate)) === null) return formatAddress(candidate)
  }
  return null
}

/**
 * Whether another process listens there. `isOursInTheWay`: the conflict may be with a listener of this process, which
 * will close.
 */
export async function isTakenByOthers(address: AddressSpec, isOursInTheWay: boolean): Promise<boolean> {
  if (address.port === 0) return false
  const error = await whyNotOpen(address)
  const isInUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
  return isInUse && (!isOursInTheWay || (await holdersOf(address, { certain: true })).length > 0)
}

/** Opens the port alone, for a moment. */
function whyNotOpen({ address, port }: AddressSpec): Promise<unknown> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', resolve)
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}
