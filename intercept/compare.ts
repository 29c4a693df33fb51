import type { Seen } from './backends.ts'
import type { Wanted } from './nft.ts'
import { MARK, type SeenRule } from './rule.ts'

type Rule = Omit<SeenRule, 'packets'>

/** What is there and should not be, and the other way round, in words; empty: all is as wanted. */
export function differences(wanted: Wanted | null, seen: Seen | undefined, family: 4 | 6): string[] {
  const should = wanted?.rules ?? []
  const are = seen?.rules ?? []
  if (should.length === 0 && are.length === 0) return []
  if (are.length === 0) return [`IPv${family}: no rules are set`]
  if (should.length === 0) return [`IPv${family}: rules are set, and none should be`]
  const missing = without(should, are)
  const extra = without(are, should)
  if (missing.length + extra.length === 0)
    return sameOrder(should, are) ? [] : [`IPv${family}: the rules stand in another order`]
  const told = [
    ...missing.filter(isNoJoint).map(rule => `is missing: ${words(rule)}`),
    ...extra.filter(isNoJoint).map(rule => `is too much: ${words(rule)}`),
  ]
  if (told.length > 0) return shorten(told).map(text => `IPv${family}: ${text}`)
  // The hash covers what labels leave out.
  return missing.length > 0 && extra.length > 0
    ? [`IPv${family}: the rules were set with other options, or by another version`]
    : shorten(
        [...missing, ...extra].map(
          rule => `IPv${family}: the jump to our rules is missing, or there twice: ${words(rule)}`,
        ),
      )
}

const MOST_TOLD = 8

function shorten(lines: readonly string[]): string[] {
  const distinct = [...new Set(lines)]
  return distinct.length <= MOST_TOLD
    ? distinct
    : [...distinct.slice(0, MOST_TOLD), `and ${distinct.length - MOST_TOLD} more differences`]
}

/** The jump to our rules carries the hash, so it differs whenever anything does. */
function isNoJoint({ label }: Rule): boolean {
  return !label.startsWith(`${MARK} `)
}

function words({ chain, label, verdict }: Rule): string {
  return `${label === '' ? 'a rule of somebody else' : label} (${verdict}, in ${chain})`
}

function keyOf({ chain, label, verdict }: Rule): string {
  return `${chain}|${label}|${verdict}`
}

/** Those of `rules` that are not among `others`, each as often as it is missing there. */
function without(rules: readonly Rule[], others: readonly Rule[]): Rule[] {
  const left = new Map<string, number>()
  for (const other of others) left.set(keyOf(other), (left.get(keyOf(other)) ?? 0) + 1)
  return rules.filter(rule => {
    const count = left.get(keyOf(rule)) ?? 0
    left.set(keyOf(rule), count - 1)
    return count <= 0
  })
}

/** Within each chain. The chains themselves, and the jumps of different tables, are listed in any order. */
function sameOrder(should: readonly Rule[], are: readonly Rule[]): boolean {
  const order = (rules: readonly Rule[], chain: string) => {
    const keys = rules.filter(rule => rule.chain === chain).map(keyOf)
    return (/^[A-Z]+$/.test(chain) ? keys.sort() : keys).join('\n')
  }
  return [...new Set(should.map(({ chain }) => chain))].every(chain => order(should, chain) === order(are, chain))
}
