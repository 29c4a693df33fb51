import { parseAddress } from './address.ts'
import { parseCidr } from './cidr.ts'
import { listenOf } from './compile-listeners.ts'
import type { Environment } from './environment.ts'
import { type InterceptDocument, intercept } from './intercept.ts'
import { loadDocument } from './load.ts'
import { type LoadErrors, loadSnapshot, type SourceText } from './load-snapshot.ts'
import { type Located, merge, nodeAt, type Position, plain } from './located.ts'
import { itemsAt, scalarAt, textAt } from './look.ts'
import { defaultAdmin } from './sidecar.ts'
import type { AddressSpec } from './snapshot.ts'
import { usualPorts } from './usual-ports.ts'

/** An address that the sidecar listens on. */
export interface Listening extends AddressSpec {
  /** `the admin port`, `outbound 127.0.0.1:15001` ... */
  readonly what: string
  /** `sidecar.yaml:3:13`; null: a default. */
  readonly place: string | null
}

/** What a sidecar file says of interception. */
export interface InterceptFile {
  /** The listeners with `transparent: true`. */
  readonly outbound: readonly Listening[]
  readonly inbound: readonly Listening[]
  readonly dns: Listening | null
  /** Every address that the sidecar listens on, those above too. */
  readonly own: readonly Listening[]
  /** The ranges that the name server takes virtual addresses from. */
  readonly virtual: readonly string[]
  readonly settings: InterceptDocument
}

export type LoadedInterceptFile =
  | { readonly ok: true; readonly file: InterceptFile; readonly warnings: readonly string[] }
  | LoadErrors

/** Those of `dns` by default. They lead nowhere without a sidecar. */
export const usualVirtual = { ipv4: '240.64.0.0/10', ipv6: 'fd6f:7574:7269:6767::/64' } as const

/** The files are checked as a whole, as a proxy would, before anything is taken from them. Never throws. */
export async function loadInterceptFile(paths: readonly string[], env: Environment): Promise<LoadedInterceptFile> {
  let sources: readonly SourceText[] = []
  const loaded = await loadSnapshot(paths, env, read => {
    sources = read
  })
  if (!loaded.ok) return loaded
  const roots = sources.flatMap(({ file, text }) => loadDocument(file, text, env).root ?? [])
  return { ok: true, file: readIntercept(roots.reduce(merge)), warnings: loaded.warnings }
}

/** For a document that is valid. */
export function readIntercept(root: Located): InterceptFile {
  const admin = textAt(root, ['admin'])
  const single = [
    listening('the admin port', admin ?? { value: defaultAdmin, at: null }),
    listening('the metrics port', textAt(root, ['metrics', 'listen']) ?? textAt(root, ['metrics'])),
  ]
  const usualDns = { value: `127.0.0.1:${usualPorts.dns}`, at: nodeAt(root, ['dns'])?.at ?? null }
  const dns =
    nodeAt(root, ['dns'])?.kind === 'map'
      ? listening('the DNS listener', textAt(root, ['dns', 'listen']) ?? usualDns)
      : null
  const of = (direction: 'inbound' | 'outbound', transparent: boolean) =>
    itemsAt(root, [direction])
      .filter(item => (scalarAt(item, ['transparent'])?.value === true) === transparent)
      .map(item => listening(direction, textAt(item, ['listen'])))
      .filter(each => each !== null)
      .map(each => ({ ...each, what: `${direction} ${each.what}` }))
  const outbound = of('outbound', true)
  const inbound = of('inbound', true)
  const node = nodeAt(root, ['intercept'])
  return {
    outbound,
    inbound,
    dns,
    own: [...single, dns, ...outbound, ...inbound, ...of('outbound', false), ...of('inbound', false)].filter(
      each => each !== null,
    ),
    virtual: virtualOf(root),
    settings: intercept.parse(node === null ? {} : plain(node)),
  }
}

function listening(
  what: string,
  text: { readonly value: string; readonly at: Position | null } | null,
): Listening | null {
  if (text === null || parseAddress(text.value) === null) return null
  const place = text.at === null ? null : `${text.at.file}:${text.at.line}:${text.at.column}`
  const address = listenOf(text.value)
  return { ...address, what: /^(in|out)bound$/.test(what) ? text.value : what, place }
}

function virtualOf(root: Located): string[] {
  const ipv4 = textAt(root, ['dns', 'addresses'])?.value ?? usualVirtual.ipv4
  const ipv6 = textAt(root, ['dns', 'ipv6'])?.value ?? 'auto'
  const prefix = ipv6 === 'auto' ? usualVirtual.ipv6 : ipv6
  return [ipv4, prefix].filter(range => parseCidr(range) !== null)
}
