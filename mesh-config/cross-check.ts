import { formatAddress, isLoopback, isWildcard, overlap, parseAddress } from './address.ts'
import { crossCheckBalancer, crossCheckDiscovery } from './cross-check-discovery.ts'
import { crossCheckDns, defaultDns } from './cross-check-dns.ts'
import { crossCheckTcp } from './cross-check-tcp.ts'
import { crossCheckTls } from './cross-check-tls.ts'
import { crossCheckTransparent } from './cross-check-transparent.ts'
import {
  isAt,
  type Located,
  type LocatedScalar,
  nodeAt,
  type Path,
  type Position,
  type Problem,
  problem,
  type Say,
} from './located.ts'
import { readLogTemplate } from './log-template.ts'
import { children, entriesAt, itemsAt, scalarAt, type Text, textAt, textOf } from './look.ts'
import { nearest } from './nearest.ts'
import { refused } from './not-yet.ts'
import { explainRegex } from './regex.ts'
import { patternsOfFilters, resolveSubsets } from './resolve-subsets.ts'
import type { AddressSpec } from './snapshot.ts'

/**
 * Checks that concern several values: that names refer to something, that nothing is listed twice, that the parts fit
 * together. They work on the values as written and skip values of a wrong kind, so that one run reports these errors
 * along with those of the schema.
 */
export async function crossCheck(root: Located, defaultAdmin: string): Promise<Problem[]> {
  const problems: Problem[] = []
  const say: Say = (at, message) => void problems.push(problem(at, message))
  checkRefused(root, [], say)
  checkListeners(root, defaultAdmin, say)
  checkApplications(root, say)
  checkEndpoints(root, say)
  checkHosts(root, say)
  checkReferences(root, say)
  checkAccessLog(root, say)
  crossCheckDiscovery(root, say)
  crossCheckDns(root, say)
  crossCheckBalancer(root, say)
  crossCheckTcp(root, say)
  crossCheckTls(root, say)
  crossCheckTransparent(root, say)
  await checkRegexes(root, say)
  return problems
}

export function checkRefused(node: Located, path: Path, say: Say): void {
  for (const entry of refused) {
    if (!isAt(entry.at, path)) continue
    if (
      entry.values === undefined
        ? node.kind !== 'scalar' || node.value !== null
        : node.kind === 'scalar' && entry.values.includes(node.value as string)
    ) {
      const what =
        entry.values === undefined || entry.values[0] === true
          ? entry.what
          : `${entry.what} (${String((node as LocatedScalar).value)})`
      say(node.at, `${what} is not available yet in this version: ${entry.instead}`)
    }
  }
  for (const [step, child] of children(node)) checkRefused(child, [...path, step], say)
}

interface Listening {
  readonly what: string
  readonly at: Position
  readonly address: AddressSpec
}

function listening(root: Located, defaultAdmin: string): Listening[] {
  const found: Listening[] = []
  const admin = textAt(root, ['admin'])
  const adminAddress = parseAddress(admin?.value ?? defaultAdmin)
  if (adminAddress !== null)
    found.push({
      what: admin === null ? 'the admin port (its default)' : 'the admin port',
      at: admin?.at ?? root.at,
      address: adminAddress,
    })
  const metrics = textAt(root, ['metrics', 'listen']) ?? textAt(root, ['metrics'])
  const metricsAddress = metrics === null ? null : parseAddress(metrics.value)
  if (metricsAddress !== null) found.push({ what: 'the metrics port', at: metrics!.at, address: metricsAddress })
  const dns = textAt(root, ['dns', 'listen'])
  const dnsAddress = parseAddress(dns?.value ?? defaultDns)
  if (dnsAddress !== null && nodeAt(root, ['dns']) !== null)
    found.push({ what: 'the name server', at: (dns ?? nodeAt(root, ['dns']))!.at, address: dnsAddress })
  for (const direction of ['inbound', 'outbound']) {
    for (const item of itemsAt(root, [direction])) {
      const listen = textAt(item, ['listen'])
      const address = listen === null ? null : parseAddress(listen.value)
      if (address !== null) found.push({ what: `${direction} ${formatAddress(address)}`, at: listen!.at, address })
    }
  }
  return found
}

function checkListeners(root: Located, defaultAdmin: string, say: Say): void {
  if (
    itemsAt(root, ['inbound']).length + itemsAt(root, ['outbound']).length === 0 &&
    !['inbound', 'outbound'].some(key => nodeAt(root, [key])?.kind === 'map')
  ) {
    say(root.at, 'there is no listener: write inbound: or outbound: with at least one "- listen: 127.0.0.1:15001"')
  }
  const all = listening(root, defaultAdmin)
  for (const [index, one] of all.entries()) {
    const other = all.slice(0, index).find(earlier => overlap(earlier.address, one.address))
    if (other === undefined) continue
    const where = other.at === root.at ? '' : `, ${placeOf(other.at, one.at)}`
    say(one.at, `port ${one.address.port} is already taken by ${other.what}${where}: choose another port`)
  }
  for (const item of itemsAt(root, ['outbound'])) {
    const connect = nodeAt(item, ['connect'])
    if (connect !== null && textAt(item, ['service']) !== null)
      say(
        connect.at,
        'CONNECT chooses its target by name, and this port is for one service: write connect at a listener without "service:"',
      )
  }
  for (const item of itemsAt(root, ['inbound'])) {
    const forward = textAt(item, ['forward'])
    const target = forward === null ? null : parseAddress(forward.value)
    const own = target === null ? undefined : all.find(({ address }) => reaches(target, address))
    if (own !== undefined)
      say(forward!.at, `this leads back to this sidecar (${own.what}): write the address of the application`)
  }
}

/** Listeners in front of one application share it, so its settings must be the same in each. */
function checkApplications(root: Located, say: Say): void {
  const known = new Map<string, { readonly at: Position; readonly written: string }>()
  for (const item of itemsAt(root, ['inbound'])) {
    const forward = textAt(item, ['forward'])
    const target = forward === null ? null : parseAddress(forward.value)
    if (target === null) continue
    const key = formatAddress(target)
    const written = asWritten(nodeAt(item, ['application']))
    const first = known.get(key)
    if (first === undefined) known.set(key, { at: forward!.at, written })
    else if (first.written !== written)
      say(
        forward!.at,
        `another listener (${placeOf(first.at, forward!.at)}) has other settings under "application:" of ${key}, which both share: write the same in both`,
      )
  }
}

/** The same text for equal values, in any order of keys. */
function asWritten(node: Located | null | undefined): string {
  if (node === null || node === undefined) return ''
  if (node.kind === 'scalar') return JSON.stringify(node.value)
  return `{${children(node)
    .map(([step, child]) => `${step}:${asWritten(child)}`)
    .sort()
    .join()}}`
}

function checkEndpoints(root: Located, say: Say): void {
  const outbound = itemsAt(root, ['outbound']).map(item => textAt(item, ['listen']))
  for (const [service, list] of entriesAt(root, ['discovery', 'endpoints'])) {
    const seen = new Map<string, Position>()
    for (const item of list.kind === 'list' ? list.items : []) {
      const text = item.kind === 'map' ? textAt(item, ['address']) : textOf(item)
      const address = text === null ? null : parseAddress(text.value)
      if (address === null) continue
      const key = formatAddress(address)
      const first = seen.get(key)
      if (first !== undefined)
        say(
          text!.at,
          `endpoint ${key} of ${service} is listed twice (${placeOf(first, text!.at)}): remove one, or give it a weight`,
        )
      else seen.set(key, text!.at)
      const loop = outbound.some(listen => listen !== null && reaches(address, parseAddress(listen.value)))
      if (loop)
        say(
          text!.at,
          `${key} is an outbound listener of this sidecar, so requests would go in circles: write where ${service} itself listens`,
        )
    }
  }
}

/** Checks that a host name means one service only. */
function checkHosts(root: Located, say: Say): void {
  const owners = new Map([...serviceNames(root)].map(name => [name, name]))
  for (const [service, policy] of entriesAt(root, ['services'])) {
    for (const item of itemsAt(policy, ['hosts'])) {
      const host = textOf(item)
      if (host === null) continue
      const owner = owners.get(host.value)
      if (owner === undefined) owners.set(host.value, service)
      else if (owner !== service)
        say(
          host.at,
          `host ${host.value} means ${owner} already: a name can mean only one service: remove it here or there`,
        )
    }
  }
}

function checkReferences(root: Located, say: Say): void {
  const names = serviceNames(root)
  const knows = (reference: LocatedScalar & { value: string }): boolean => {
    if (names.has(reference.value)) return true
    const meant = nearest(reference.value, names)
    const add = `give it endpoints: discovery: { endpoints: { ${reference.value}: [ "host:port" ] } }`
    say(
      reference.at,
      `there is no service "${reference.value}": ${meant === null ? add : `did you mean "${meant}"? Else ${add}`}`,
    )
    return false
  }
  for (const item of itemsAt(root, ['outbound'])) {
    const service = textAt(item, ['service'])
    if (service !== null) knows(service)
  }
  for (const [name, policy] of entriesAt(root, ['services'])) {
    checkSubset(root, name, textAt(policy, ['subsetFallback', 'subset']), say)
    for (const subset of resolveSubsets(policy)) checkSubset(root, name, subset, say)
    for (const each of [policy, ...itemsAt(policy, ['routes'])]) {
      const service = textAt(each, ['fallback', 'to', 'service'])
      if (service === null || knows(service))
        checkSubset(root, service?.value ?? name, textAt(each, ['fallback', 'to', 'subset']), say)
    }
    for (const route of itemsAt(policy, ['routes'])) {
      const destinations = itemsAt(route, ['to'])
      for (const destination of destinations) {
        const service = textAt(destination, ['service'])
        if (service === null || knows(service))
          checkSubset(root, service?.value ?? name, textAt(destination, ['subset']), say)
      }
      const weights = destinations.map(destination => scalarAt(destination, ['weight']))
      if (weights.length > 0 && weights.every(weight => weight?.value === 0))
        say(
          weights[0]!.at,
          'all weights are 0, so requests of this route have no destination: give one of them a weight',
        )
    }
  }
}

function checkSubset(root: Located, service: string, subset: Text | null, say: Say): void {
  if (subset === null) return
  const names = [['subsets'], ['resolve', 'subsets']].flatMap(path =>
    entriesAt(root, ['services', service, ...path]).map(([name]) => name),
  )
  if (names.includes(subset.value)) return
  const meant = nearest(subset.value, names)
  const known =
    names.length === 0
      ? `${service} has no subsets: define it under services.${service}.subsets`
      : `${service} has ${names.join(', ')}`
  say(subset.at, `there is no subset "${subset.value}": ${meant === null ? known : `did you mean "${meant}"?`}`)
}

function checkTemplate({ at, value, written }: Text, say: Say): void {
  for (const wrong of readLogTemplate(value).problems)
    say(at, written === null ? wrong : `${written} is not an access log template: correct its value`)
}

function checkAccessLog(root: Located, say: Say): void {
  const format = textAt(root, ['accessLog', 'format'])?.value ?? 'text'
  const template = textAt(root, ['accessLog', 'template'])
  if (template !== null) {
    checkTemplate(template, say)
    if (format !== 'text')
      say(
        template.at,
        `a template is for format: text, and ${format === 'json' ? 'the fields of JSON are written under fields' : 'the names of ECS are fixed'}: write format: text, or remove the template`,
      )
  }
  const fields = entriesAt(root, ['accessLog', 'fields'])
  for (const [, node] of fields) {
    const field = textOf(node)
    if (field !== null) checkTemplate(field, say)
  }
  if (fields.length > 0 && format !== 'json')
    say(fields[0]![1].at, `fields are for format: json, and this log has format: ${format}: write format: json`)
  const only = nodeAt(root, ['accessLog', 'only'])
  const mode = textAt(root, ['accessLog', 'mode'])?.value ?? 'errors'
  if (only !== null && itemsAt(root, ['accessLog', 'only']).length > 0 && mode !== 'on')
    say(
      only.at,
      `conditions count with mode: on, and this log has mode: ${mode}: write mode: on, and a condition errors: true where errors are to be logged`,
    )
  for (const item of itemsAt(root, ['accessLog', 'only']))
    if (item.kind === 'map' && item.entries.size === 0)
      say(item.at, 'a condition that says nothing is met by every request: write what it is about, or remove only')
}

export async function checkRegexes(root: Located, say: Say): Promise<void> {
  for (const [, policy] of entriesAt(root, ['services'])) {
    for (const { pattern, at } of patternsOfFilters(policy)) {
      const wrong = await explainRegex(pattern)
      if (wrong !== null) say(at, wrong)
    }
  }
  const pending: [string, Located][] = entriesAt(root, ['services']).flatMap(([, policy]) =>
    [...itemsAt(policy, ['routes']), nodeAt(policy, ['health', 'http', 'body']) ?? []]
      .flat()
      .map((node): [string, Located] => ['', node]),
  )
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [key, node] = next
    const pattern = key === 'regex' ? textOf(node) : null
    const wrong = pattern === null ? null : await explainRegex(pattern.value)
    if (wrong !== null)
      say(
        node.at,
        pattern!.written === null
          ? wrong
          : `${pattern!.written} is not an RE2 expression: correct its value in the environment`,
      )
    for (const [step, child] of children(node)) pending.push([String(step), child])
  }
}

/**
 * Every service with endpoints or a policy. With a registry, which may know any service, also those that are only
 * referred to.
 */
export function serviceNames(root: Located): Set<string> {
  const listed = [
    ['discovery', 'endpoints'],
    ['discovery', 'files'],
    ['discovery', 'dns'],
    ['discovery', 'consul', 'services'],
    ['discovery', 'kubernetes', 'services'],
    ['services'],
  ]
  const names = new Set(listed.flatMap(path => entriesAt(root, path).map(([name]) => name)))
  if (['consul', 'kubernetes'].every(registry => nodeAt(root, ['discovery', registry]) === null)) return names
  const referred = [
    ...itemsAt(root, ['outbound']).map(item => textAt(item, ['service'])),
    ...entriesAt(root, ['services']).flatMap(([, policy]) =>
      itemsAt(policy, ['routes']).flatMap(route =>
        itemsAt(route, ['to']).map(destination => textAt(destination, ['service'])),
      ),
    ),
  ]
  for (const reference of referred) if (reference !== null) names.add(reference.value)
  return names
}

/** Whether connecting to `target` reaches `listener`, as far as the addresses tell. */
function reaches(target: AddressSpec, listener: AddressSpec | null): boolean {
  return (
    listener !== null &&
    overlap(target, listener) &&
    (!isWildcard(listener.address) || isLoopback(target.address) || isWildcard(target.address))
  )
}

function placeOf(place: Position, seenFrom: Position): string {
  return place.file === seenFrom.file ? `line ${place.line}` : `${place.file}:${place.line}`
}
