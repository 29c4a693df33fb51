import type { Cidr } from '../mesh-config/cidr.ts'
import type { PortRange } from '../mesh-config/port-range.ts'

/** Redirect rules without the words of a tool: nft.ts and iptables.ts write them. */

export type Family = 4 | 6
export const families: readonly Family[] = [4, 6]

export type ChainName = 'output' | 'inbound' | 'dns'

export interface Chain {
  readonly name: ChainName
  readonly rules: readonly Rule[]
}

export interface Rule {
  readonly match: Match
  readonly verdict: Verdict
  /** What it is for. Kept as a comment in the kernel: letters, digits and ` ,.:/()+-`, up to 100 characters. */
  readonly label: string
}

/** All that is given must hold. Of a list, one. */
export interface Match {
  readonly protocol?: 'tcp' | 'udp'
  /**
   * The first packet of a TCP connection. Later packets of one that was there before the rules look new to the kernel,
   * and redirecting them would break it.
   */
  readonly syn?: true
  readonly users?: readonly number[]
  readonly groups?: readonly number[]
  readonly inputs?: readonly string[]
  readonly outputs?: readonly string[]
  readonly to?: readonly Cidr[]
  readonly from?: readonly Cidr[]
  readonly ports?: readonly PortRange[]
  readonly fromPort?: number
  /** The destination is no address of this machine. */
  readonly foreign?: true
}

export type Verdict =
  | { readonly kind: 'return' }
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'zone'; readonly zone: number }

/** A rule as the kernel has it; `chain` as it is named there. */
export interface SeenRule {
  readonly chain: string
  readonly label: string
  /** `return`, `15001`, `zone 15053`, or `jump output` from a hook. */
  readonly verdict: string
  readonly packets: number
}

export function verdictText(verdict: Verdict): string {
  if (verdict.kind === 'redirect') return String(verdict.port)
  return verdict.kind === 'zone' ? `zone ${verdict.zone}` : 'return'
}

/** Begins the comment of the rules that join ours to the hooks; the hash of what is set follows. */
export const MARK = 'outrigger'
