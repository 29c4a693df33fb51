import type { InterceptFile, Listening } from '../mesh-config/load-intercept.ts'
import { usualPorts } from '../mesh-config/usual-ports.ts'
import type { Options } from './options.ts'
import { type Family, families } from './rule.ts'

/** Where connections are redirected to: a port of this machine, in the families that something listens in. */
export interface Target {
  readonly port: number
  readonly families: readonly Family[]
}

export interface Targets {
  readonly outbound: Target | null
  readonly inbound: Target | null
  readonly dns: Target | null
}

type Kind = keyof Targets

/** Without a file: outbound alone, to the usual port. With one: what it listens on. Options choose among that. */
export function chooseTargets(
  options: Options,
  file: InterceptFile | null,
): { readonly targets: Targets; readonly errors: readonly string[]; readonly notes: readonly string[] } {
  const errors: string[] = []
  const notes: string[] = []
  const choose = (kind: Kind): Target | null => {
    const text = options[`${kind}-port`]
    if (text === 'off') return null
    if (text !== undefined && !isPort(text)) {
      errors.push(`--${kind}-port: ${JSON.stringify(text)} is not a port: write a number from 1 to 65535, or off`)
      return null
    }
    const port = text === undefined ? null : Number(text)
    if (file === null) {
      const usual = kind === 'outbound' ? usualPorts.outbound : null
      return (port ?? usual) === null ? null : { port: (port ?? usual)!, families }
    }
    return ofFile(kind, listenersOf(kind, file), port, errors, notes)
  }
  const targets = { outbound: choose('outbound'), inbound: choose('inbound'), dns: choose('dns') }
  if (errors.length === 0 && targets.outbound === null && targets.inbound === null && targets.dns === null)
    errors.push(
      file === null
        ? 'nothing is left to redirect: leave out --outbound-port off, or give --inbound-port or --dns-port'
        : 'no listener of the file has "transparent: true", and there is no "dns.listen": write outbound: [{ listen: 127.0.0.1:15001, transparent: true }], for example',
    )
  const ports = [targets.outbound, targets.inbound, targets.dns].flatMap(target => target?.port ?? [])
  if (new Set(ports).size < ports.length)
    errors.push(`two kinds of connections would be redirected to one port (${ports.join(', ')}): give each its own`)
  return { targets, errors, notes }
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535
}

function listenersOf(kind: Kind, file: InterceptFile): readonly Listening[] {
  if (kind === 'dns') return file.dns === null ? [] : [file.dns]
  return file[kind]
}

const called: Readonly<Record<Kind, string>> = {
  outbound: 'outbound listener with "transparent: true"',
  inbound: 'inbound listener with "transparent: true"',
  dns: '"dns.listen"',
}

function ofFile(
  kind: Kind,
  listeners: readonly Listening[],
  wanted: number | null,
  errors: string[],
  notes: string[],
): Target | null {
  const ports = [...new Set(listeners.map(({ port }) => port))]
  if (wanted !== null && !ports.includes(wanted)) {
    const there = ports.length === 0 ? 'there is none' : `there is port ${ports.join(', ')}`
    errors.push(
      `--${kind}-port ${wanted}: the file has no ${called[kind]} at that port (${there}): connections would be refused`,
    )
    return null
  }
  if (wanted === null && ports.length > 1) {
    errors.push(
      `the file has several ports for an ${called[kind]}: choose one of ${ports.join(', ')} with --${kind}-port`,
    )
    return null
  }
  const port = wanted ?? ports[0]
  if (port === undefined) return null
  const those = listeners.filter(each => each.port === port)
  if (port === 0) {
    errors.push(
      `${those[0]!.place}: port 0 is another one at each start: write a fixed port, such as ${usualPort(kind)}`,
    )
    return null
  }
  const taken = [...new Set(those.flatMap(each => familiesOf(kind, each, errors)))].sort()
  for (const family of families)
    if (kind !== 'dns' && !taken.includes(family) && taken.length > 0)
      notes.push(
        `IPv${family}: ${kind} connections are not redirected, because ${those[0]!.what} takes IPv${taken[0]} alone: ${remedy(kind, port)}`,
      )
  return taken.length === 0 ? null : { port, families: taken }
}

function usualPort(kind: Kind): number {
  return usualPorts[kind]
}

function remedy(kind: Kind, port: number): string {
  return kind === 'inbound' ? `listen on "[::]:${port}"` : `listen on 127.0.0.1 and "[::1]:${port}"`
}

/** Redirected connections of this machine arrive at 127.0.0.1 or ::1, those of others at the address of the interface. */
function familiesOf(kind: Kind, { address, place, what }: Listening, errors: string[]): Family[] {
  if (address === '::') return [4, 6]
  if (address === '0.0.0.0') return [4]
  if (kind !== 'inbound' && address === '127.0.0.1') return [4]
  if (kind !== 'inbound' && address === '::1') return [6]
  errors.push(
    kind === 'inbound'
      ? `${place}: redirected connections arrive at the address of the interface that they came through, which ${what} does not take: listen on 0.0.0.0 or "[::]"`
      : `${place}: redirected connections arrive at 127.0.0.1 or ::1, which ${what} does not take: listen there`,
  )
  return []
}
