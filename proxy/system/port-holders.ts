import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { isWildcard } from '../../mesh-config/address.ts'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'

export interface PortHolder {
  /** Null: a process of another user or container, which cannot be inspected. */
  readonly pid: number | null
  /** The name of the program, without its arguments: they may hold secrets. */
  readonly program: string
}

/** The state LISTEN in /proc/net/tcp. */
const LISTEN = '0A'
/** How many processes are inspected at most: the answer is for an error message. */
const MOST_PROCESSES = 5_000

/**
 * Other processes that listen where `address` is to be opened. Linux only, and only what this user may see; empty where
 * nothing can be found out. A socket on `[::]` may accept IPv4 or not, which is not visible: `certain` leaves it out.
 */
export async function holdersOf(address: AddressSpec, { certain = false } = {}): Promise<PortHolder[]> {
  if (process.platform !== 'linux' || address.port === 0) return []
  const sockets = new Set(await listeningAt(address, certain))
  for (const inode of await socketsOf('self')) sockets.delete(inode)
  if (sockets.size === 0) return []
  const holders: PortHolder[] = []
  const pids = (await listed('/proc')).filter(name => /^\d+$/.test(name)).slice(0, MOST_PROCESSES)
  for (const pid of pids) {
    const held = (await socketsOf(pid)).filter(inode => sockets.has(inode))
    if (held.length === 0) continue
    for (const inode of held) sockets.delete(inode)
    holders.push({ pid: Number(pid), program: await programOf(pid) })
  }
  return sockets.size === 0 ? holders : [...holders, { pid: null, program: '' }]
}

/** The inodes of sockets that conflict with listening on `address`. */
async function listeningAt({ address, port }: AddressSpec, certain: boolean): Promise<string[]> {
  const isIPv6 = address.includes(':')
  const meets = (host: string) => {
    const isAny = /^0+$/.test(host)
    const isOtherIPv6 = host.length === 32
    if (isIPv6 === isOtherIPv6) return isWildcard(address) || isAny || host === hexOf(address)
    // Ours on [::] takes IPv4 too.
    return isIPv6 ? address === '::' : isAny && !certain
  }
  const tables = await Promise.all([textOf('/proc/net/tcp'), textOf('/proc/net/tcp6')])
  return tables.flatMap(table => table.split('\n').flatMap(line => listening(line, port, meets)))
}

function listening(line: string, port: number, meets: (host: string) => boolean): string[] {
  const fields = line.trim().split(/\s+/)
  const [, local = '', , state] = fields
  const [host = '', hexPort = ''] = local.split(':')
  return state === LISTEN && Number.parseInt(hexPort, 16) === port && meets(host) ? [fields[9] ?? ''] : []
}

/**
 * As the kernel writes it: words of 32 bits in the order of the machine, little-endian on all that Node runs on but
 * s390x.
 */
function hexOf(address: string): string {
  const bytes = address.includes(':') ? ipv6Bytes(address) : address.split('.').map(Number)
  let hex = ''
  for (let word = 0; word < bytes.length; word += 4) {
    for (const byte of bytes.slice(word, word + 4).reverse()) hex += byte.toString(16).padStart(2, '0')
  }
  return hex.toUpperCase()
}

function ipv6Bytes(address: string): number[] {
  const [before = '', after] = address.split('%')[0]!.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').flatMap(groupOf))
  const head = groups(before)
  const tail = after === undefined ? [] : groups(after)
  const middle = Array.from({ length: Math.max(0, 16 - head.length - tail.length) }, () => 0)
  return [...head, ...middle, ...tail]
}

/** Two bytes; four of an IPv4 address at the end. */
function groupOf(text: string): number[] {
  if (text.includes('.')) return text.split('.').map(Number)
  const value = Number.parseInt(text, 16)
  return [value >> 8, value & 255]
}

async function socketsOf(pid: string): Promise<string[]> {
  const folder = `/proc/${pid}/fd`
  const links = await Promise.all((await listed(folder)).map(fd => readlink(`${folder}/${fd}`).catch(() => '')))
  return links.flatMap(link => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
}

/**
 * Named by its file: a title may have arguments, or be the name of a thread. Our own script is named, because `node`
 * would say nothing.
 */
async function programOf(pid: string): Promise<string> {
  const file = await readlink(`/proc/${pid}/exe`).catch(() => '')
  const name = file === '' ? (await textOf(`/proc/${pid}/comm`)).trim() : basename(file)
  const [, script = ''] = (await textOf(`/proc/${pid}/cmdline`)).split('\0')
  return /\/?outrigger(\.js)?$/.test(script) ? 'outrigger' : name
}

function listed(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}

function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '')
}
