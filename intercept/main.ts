import {
  availableBackends,
  type Backend,
  type BackendName,
  nftBackend,
  type RuleSet,
  type Seen,
  type SeenByFamily,
} from './backends.ts'
import { differences } from './compare.ts'
import { findForeign } from './foreign.ts'
import type { Plan } from './plan.ts'
import { type Family, families } from './rule.ts'
import { rulesOf } from './rules.ts'
import { capabilities, readText } from './tools.ts'

/** Sets, removes and shows the rules. */

export interface How {
  /** Null: the best that works. */
  readonly backend: BackendName | null
  readonly ipv4Only: boolean
  /** Sets rules beside those of another mesh. */
  readonly force: boolean
}

export interface Failed {
  readonly ok: false
  readonly errors: readonly string[]
}

export interface Up {
  readonly ok: true
  readonly backend: BackendName
  readonly changed: boolean
  readonly sets: readonly RuleSet[]
  readonly notes: readonly string[]
  readonly warnings: readonly string[]
}

export async function up(plan: Plan, how: How): Promise<Up | Failed> {
  const found = await backendsFor(how.backend)
  if (!found.ok) return found
  const { chosen, all } = found
  const foreign = findForeign(await everything(all))
  if (foreign.conflicts.length > 0 && !how.force)
    return failed(foreign.conflicts.map(conflict => `${conflict}: remove one of them, or say --force`))
  const warnings = [...foreign.conflicts, ...foreign.warnings]
  const reasons: string[] = []
  for (const backend of chosen) {
    const { sets, notes, reason } = await possible(plan, backend, how)
    if (reason !== null) {
      reasons.push(`${backend.name}: ${reason}`)
      continue
    }
    const others = all.filter(other => other !== backend)
    const before = await backend.read()
    if (typeof before !== 'string' && isAsWanted(backend, sets, before) && (await holders(others)).length === 0)
      return { ok: true, backend: backend.name, changed: false, sets, notes, warnings }
    const trouble = await setAndCheck(backend, sets)
    if (trouble !== null) {
      reasons.push(`${backend.name}: ${trouble}`)
      continue
    }
    // From an earlier time, when this host had other tools.
    for (const other of await holders(others)) await other.write(nothing)
    return { ok: true, backend: backend.name, changed: true, sets, notes, warnings }
  }
  return failed(['no way to set the rules works here:', ...reasons.map(each => `  ${each}`), hint(reasons)])
}

/** What `up` would set, without asking the kernel: needs no privilege, and no tool either. */
export async function dryRun(
  plan: Plan,
  how: How,
): Promise<{
  readonly backend: BackendName
  readonly scripts: readonly { command: string; text: string }[]
  readonly sets: readonly RuleSet[]
}> {
  const { backends } = await availableBackends()
  const backend = backends.find(({ name }) => how.backend === null || name === how.backend) ?? nftBackend('nft')
  const sets = setsOf(plan, how)
  return { backend: backend.name, scripts: backend.script(sets.filter(({ chains }) => chains.length > 0)), sets }
}

export interface Down {
  readonly ok: true
  /** Where there were rules. */
  readonly removed: readonly BackendName[]
}

export async function down(how: Pick<How, 'backend'>): Promise<Down | Failed> {
  const found = await backendsFor(how.backend)
  if (!found.ok) return found
  const removed: BackendName[] = []
  for (const backend of await holders(found.chosen)) {
    const trouble = await backend.write(nothing)
    if (trouble !== null) return failed([`${backend.name}: the rules could not be removed: ${trouble}`])
    removed.push(backend.name)
  }
  const left = await holders(found.chosen)
  if (left.length > 0)
    return failed([
      `${left.map(({ name }) => name).join(', ')}: rules are there again: is another "intercept up" running?`,
    ])
  return { ok: true, removed }
}

export interface Shown {
  readonly ok: true
  readonly inForce: readonly { readonly backend: BackendName; readonly family: Family; readonly seen: Seen }[]
  /** Null: nothing was asked. Empty: what is in force is what `up` would set. */
  readonly differences: readonly string[] | null
  readonly notes: readonly string[]
  readonly warnings: readonly string[]
}

/** `plan` null: shows only what is in force. */
export async function show(plan: Plan | null, how: How): Promise<Shown | Failed> {
  const found = await backendsFor(null)
  if (!found.ok) return found
  const seen: { backend: Backend; by: SeenByFamily }[] = []
  for (const backend of found.all) {
    const by = await backend.read()
    if (typeof by !== 'string' && by.size > 0) seen.push({ backend, by })
  }
  const inForce = seen.flatMap(({ backend, by }) =>
    [...by].map(([family, each]) => ({ backend: backend.name, family, seen: each })),
  )
  const foreign = findForeign(await everything(found.all))
  const warnings = [...foreign.conflicts, ...foreign.warnings]
  const notes = inForce.flatMap(({ seen: { behind } }) =>
    behind.map(what => `${what}: "intercept up" puts ours in front`),
  )
  if (plan === null) return { ok: true, inForce, differences: null, notes, warnings }
  if (seen.length === 0) return { ok: true, inForce, differences: ['no rules are set'], notes, warnings }
  const twice = seen.length > 1 ? [`rules are set by ${seen.map(({ backend }) => backend.name).join(' and by ')}`] : []
  const { backend, by } = seen[0]!
  const { sets, notes: possibleNotes } = await possible(plan, backend, how)
  const differ = sets.flatMap(set => differences(backend.wanted(set), by.get(set.family), set.family))
  return { ok: true, inForce, differences: [...twice, ...differ], notes: [...notes, ...possibleNotes], warnings }
}

/** Null: this process may set rules. */
export function cannotStart(): string | null {
  const can = capabilities()
  if (can === null) return 'redirect rules are a feature of Linux, and this is another system'
  return can.netAdmin
    ? null
    : 'redirect rules need the capability CAP_NET_ADMIN: run this as root (sudo), or in a container with securityContext.capabilities.add: [NET_ADMIN, NET_RAW]'
}

const nothing: readonly RuleSet[] = families.map(family => ({ family, chains: [] }))

function failed(errors: readonly string[]): Failed {
  return { ok: false, errors: errors.filter(error => error !== '') }
}

async function backendsFor(
  name: BackendName | null,
): Promise<Failed | { readonly ok: true; readonly chosen: readonly Backend[]; readonly all: readonly Backend[] }> {
  const refusal = cannotStart()
  if (refusal !== null) return failed([refusal])
  const { backends, missing } = await availableBackends()
  if (backends.length === 0)
    return failed([
      `neither nft nor iptables is here: install one of the packages nftables and iptables (looked for ${missing.join(', ')})`,
    ])
  const chosen = backends.filter(backend => name === null || backend.name === name)
  if (chosen.length === 0)
    return failed([
      `--backend ${name}: its program is not here; there is ${backends.map(each => each.name).join(', ')}`,
    ])
  return { ok: true, chosen, all: backends }
}

/** nft shows what iptables-nft has set as well. */
async function everything(all: readonly Backend[]): Promise<{ where: string; text: string }[]> {
  const ofNft = (await all.find(({ name }) => name === 'nft')?.everything()) ?? []
  const rest = all.filter(({ name }) => name !== 'nft' && !(name === 'iptables-nft' && ofNft.length > 0))
  return [...ofNft, ...(await Promise.all(rest.map(backend => backend.everything()))).flat()]
}

async function holders(backends: readonly Backend[]): Promise<Backend[]> {
  const found: Backend[] = []
  for (const backend of backends) {
    const seen = await backend.read()
    if (typeof seen !== 'string' && seen.size > 0) found.push(backend)
  }
  return found
}

function setsOf(plan: Plan, { ipv4Only }: How): RuleSet[] {
  return families.map(family => ({ family, chains: family === 6 && ipv4Only ? [] : rulesOf(plan, family) }))
}

/** What of the plan this kernel can do. Without IPv6, or without NAT for it, there are rules for IPv4 alone. */
async function possible(
  plan: Plan,
  backend: Backend,
  how: How,
): Promise<{ readonly sets: readonly RuleSet[]; readonly notes: readonly string[]; readonly reason: string | null }> {
  const [set4, set6] = setsOf(plan, how) as [RuleSet, RuleSet]
  const none6: RuleSet = { family: 6, chains: [] }
  const reason4 = set4.chains.length === 0 ? null : await backend.cannot(set4)
  if (reason4 !== null) return { sets: [], notes: [], reason: reason4 }
  if (set6.chains.length === 0) return { sets: [set4, none6], notes: [], reason: null }
  const reason6 = readText('/proc/net/if_inet6') === null ? 'this kernel has no IPv6' : await backend.cannot(set6)
  if (reason6 === null) return { sets: [set4, set6], notes: [], reason: null }
  if (set4.chains.length === 0) return { sets: [], notes: [], reason: reason6 }
  return {
    sets: [set4, none6],
    notes: [`IPv6: no rules, so IPv6 connections go past the sidecar: ${reason6}`],
    reason: null,
  }
}

function isAsWanted(backend: Backend, sets: readonly RuleSet[], seen: SeenByFamily): boolean {
  return sets.every(
    set =>
      differences(backend.wanted(set), seen.get(set.family), set.family).length === 0 &&
      (seen.get(set.family)?.behind.length ?? 0) === 0,
  )
}

/** Another process may set rules between reading and writing them (two runs of `up`, say), so what came of it is read. */
async function setAndCheck(backend: Backend, sets: readonly RuleSet[]): Promise<string | null> {
  let trouble: string | null = null
  for (let tries = 0; tries < 3; tries++) {
    trouble = await backend.write(sets)
    if (trouble !== null) continue
    const after = await backend.read()
    if (typeof after === 'string') return after
    if (isAsWanted(backend, sets, after)) return null
    const differ = sets.flatMap(set => differences(backend.wanted(set), after.get(set.family), set.family))
    trouble = `the rules were set, and now others are there (is another program changing them?): ${differ.slice(0, 3).join('; ')}`
  }
  return trouble
}

function hint(reasons: readonly string[]): string {
  const can = capabilities()
  if (can?.netRaw === false)
    return 'this process has no CAP_NET_RAW, which iptables needs: add NET_RAW to the capabilities of the container'
  return reasons.some(reason => /not supported|No such file|does not exist|Protocol|initialize table/i.test(reason))
    ? 'the kernel lacks NAT for these tools: load the modules nft_redir and nft_chain_nat, or iptable_nat and xt_REDIRECT'
    : ''
}
