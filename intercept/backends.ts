import { iptablesScript, iptablesTables, readIptables } from './iptables.ts'
import { nftScript, nftTable, readNftTable, tableName, type Wanted } from './nft.ts'
import { type Chain, type Family, families, type SeenRule } from './rule.ts'
import { findProgram, type Ran, readText, reasonOf, run } from './tools.ts'

/** The ways to give the kernel rules. */

export const backendNames = ['nft', 'iptables-nft', 'iptables-legacy'] as const
export type BackendName = (typeof backendNames)[number]

/** What is there of ours in one family. */
export interface Seen {
  readonly rules: readonly SeenRule[]
  /** Foreign rules that come first, where that can happen. */
  readonly behind: readonly string[]
}

export type SeenByFamily = ReadonlyMap<Family, Seen>

export interface RuleSet {
  readonly family: Family
  readonly chains: readonly Chain[]
}

export interface Backend {
  readonly name: BackendName
  wanted(set: RuleSet): Wanted | null
  /** What `up` hands to the program, for a kernel without rules of ours. */
  script(sets: readonly RuleSet[]): { readonly command: string; readonly text: string }[]
  /** Null: it can set these rules; else why not. */
  cannot(set: RuleSet): Promise<string | null>
  /** A text: why it could not be read. */
  read(): Promise<SeenByFamily | string>
  /** Replaces what is there in these families; an empty set removes it. A text: why it could not; then the family of it is as before. */
  write(sets: readonly RuleSet[]): Promise<string | null>
  /** Everything that is there, of others too. */
  everything(): Promise<{ readonly where: string; readonly text: string }[]>
}

/** Those whose programs are here, the best first; and what to install for the others. */
export async function availableBackends(): Promise<{
  readonly backends: readonly Backend[]
  readonly missing: readonly string[]
}> {
  const nft = findProgram('nft')
  const tables = await Promise.all((['nft', 'legacy'] as const).map(findIptables))
  const backends = [...(nft === null ? [] : [nftBackend(nft)]), ...tables.filter(each => each !== null)]
  const missing = [
    ...(nft === null ? ['nft (package nftables)'] : []),
    ...(tables.every(each => each === null) ? ['iptables-restore (package iptables)'] : []),
  ]
  return { backends, missing }
}

export function nftBackend(program: string): Backend {
  const wanted = ({ family, chains }: RuleSet) => nftTable(family, chains)
  const scriptOf = (sets: readonly RuleSet[], removed: readonly Family[]) =>
    nftScript(
      sets.map(wanted).filter(each => each !== null),
      removed,
    )
  const read = async (): Promise<SeenByFamily | string> => {
    const seen = new Map<Family, Seen>()
    for (const family of families) {
      const ran = await run(program, ['list', 'table', ...tableName(family).split(' ')])
      if (ran.code === 0) seen.set(family, { rules: readNftTable(ran.stdout), behind: [] })
      else if (!/No such file or directory/.test(ran.stderr) && family === 4) return reasonOf(ran)
    }
    return seen
  }
  return {
    name: 'nft',
    wanted,
    script: sets => [
      {
        command: 'nft -f -',
        text: scriptOf(
          sets,
          sets.map(({ family }) => family),
        ),
      },
    ],
    async cannot(set) {
      const ran = await run(program, ['--check', '--file', '-'], scriptOf([set], [set.family]))
      return ran.code === 0 ? null : reasonOf(ran)
    },
    read,
    async write(sets) {
      const seen = await read()
      if (typeof seen === 'string') return seen
      const gone = sets
        .filter(({ family, chains }) => chains.length > 0 || seen.has(family))
        .map(({ family }) => family)
      const ran = await run(program, ['--file', '-'], scriptOf(sets, gone))
      return ran.code === 0 ? null : reasonOf(ran)
    },
    async everything() {
      const ran = await run(program, ['--terse', 'list', 'ruleset'])
      return ran.code === 0 ? [{ where: 'nft', text: ran.stdout }] : []
    },
  }
}

type Flavour = 'nft' | 'legacy'

/** By its own name, or as what `iptables` stands for here. */
async function findIptables(flavour: Flavour): Promise<Backend | null> {
  const named = findProgram(`iptables-${flavour}-restore`)
  if (named !== null) return iptablesBackend(flavour, `-${flavour}`)
  const plain = findProgram('iptables-restore')
  if (plain === null) return null
  const { stdout } = await run(plain, ['--version'])
  const isNft = /nf_tables/.test(stdout)
  return isNft === (flavour === 'nft') ? iptablesBackend(flavour, '') : null
}

function iptablesBackend(flavour: Flavour, suffix: string): Backend {
  const nameOf = (family: Family, action: 'restore' | 'save') =>
    `${family === 4 ? 'iptables' : 'ip6tables'}${suffix}-${action}`
  const call = async (
    family: Family,
    action: 'restore' | 'save',
    args: readonly string[],
    input = '',
  ): Promise<Ran> => {
    const name = nameOf(family, action)
    const program = findProgram(name)
    return program === null ? { code: 127, stdout: '', stderr: `there is no ${name}` } : run(program, args, input)
  }
  // Listing the tables of the legacy kernel code makes them. They are looked at where they are already.
  const isInUse = (family: Family) =>
    flavour === 'nft' ||
    /^(nat|raw)$/m.test(readText(family === 4 ? '/proc/net/ip_tables_names' : '/proc/net/ip6_tables_names') ?? '')
  const save = (family: Family) => call(family, 'save', ['--counters'])
  return {
    name: `iptables-${flavour}`,
    wanted: ({ family, chains }) => iptablesTables(family, chains),
    script: sets =>
      sets.map(({ family, chains }) => ({
        command: `${nameOf(family, 'restore')} --noflush --wait 60`,
        text: iptablesScript(chains, ''),
      })),
    async cannot({ family, chains }) {
      const ran = await call(family, 'restore', ['--noflush', '--wait', '60', '--test'], iptablesScript(chains, ''))
      return ran.code === 0 ? null : reasonOf(ran)
    },
    async read() {
      const seen = new Map<Family, Seen>()
      for (const family of families) {
        if (!isInUse(family)) continue
        const ran = await save(family)
        if (ran.code !== 0 && family === 4) return reasonOf(ran)
        const found = readIptables(ran.stdout)
        if (found !== null) seen.set(family, found)
      }
      return seen
    },
    async write(sets) {
      for (const { family, chains } of sets) {
        if (chains.length === 0 && !isInUse(family)) continue
        const saved = isInUse(family) ? await save(family) : null
        if (saved !== null && saved.code !== 0) return reasonOf(saved)
        const script = iptablesScript(chains, saved?.stdout ?? '')
        if (script === '') continue
        const ran = await call(family, 'restore', ['--noflush', '--wait', '60'], script)
        if (ran.code !== 0) return `IPv${family}: ${reasonOf(ran)}`
      }
      return null
    },
    async everything() {
      const used = families.filter(isInUse)
      const saved = await Promise.all(used.map(async family => ({ family, ran: await save(family) })))
      return saved
        .filter(({ ran }) => ran.code === 0)
        .map(({ family, ran }) => ({ where: `iptables-${flavour}${family === 6 ? ', IPv6' : ''}`, text: ran.stdout }))
    },
  }
}
