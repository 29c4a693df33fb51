import type { KeyHash } from './key-hash.ts'

const COLON = 0x3a
const DOT = 0x2e
const groups = new Int32Array(8)

/**
 * Adds the first bits of an IP address, as the system writes it, to a hash, without a text or an array. An IPv4 address
 * inside IPv6 (`::ffff:10.0.0.1`) is that IPv4 address. What is no address counts as a text.
 */
export function hashPrefix(hash: KeyHash, address: string, ipv4Bits: number, ipv6Bits: number): void {
  if (address.startsWith('::ffff:') && address.includes('.')) return hashIpv4(hash, address, 7, ipv4Bits)
  if (!address.includes(':')) return hashIpv4(hash, address, 0, ipv4Bits)
  if (!readIpv6(address)) return hash.text(address)
  for (let i = 0; i < 4; i++) {
    const bits = Math.min(32, Math.max(0, ipv6Bits - i * 32))
    hash.word(((groups[2 * i]! << 16) | groups[2 * i + 1]!) & maskOf(bits))
  }
}

function hashIpv4(hash: KeyHash, address: string, from: number, bits: number): void {
  let number = 0
  let byte = 0
  for (let i = from; i < address.length; i++) {
    const code = address.charCodeAt(i)
    if (code === DOT) {
      number = (number << 8) | byte
      byte = 0
    } else if (code >= 0x30 && code <= 0x39) byte = byte * 10 + code - 0x30
    else return hash.text(address)
  }
  hash.word(((number << 8) | byte) & maskOf(bits))
}

function maskOf(bits: number): number {
  return bits === 0 ? 0 : -1 << (32 - bits)
}

function readIpv6(address: string): boolean {
  const end = address.includes('%') ? address.indexOf('%') : address.length
  const gap = address.indexOf('::')
  groups.fill(0)
  const before = readGroups(address, 0, gap < 0 ? end : gap, 0)
  if (gap < 0) return before === 8
  if (before < 0) return false
  const after = countGroups(address, gap + 2, end)
  return before + after <= 7 && readGroups(address, gap + 2, end, 8 - after) === 8
}

function countGroups(address: string, from: number, end: number): number {
  if (from >= end) return 0
  let count = 1
  for (let i = from; i < end; i++) if (address.charCodeAt(i) === COLON) count++
  return count
}

/** The place behind the last one; -1: there are none such. */
function readGroups(address: string, from: number, end: number, place: number): number {
  if (from >= end) return place
  let group = 0
  let at = place
  for (let i = from; i <= end; i++) {
    const code = i === end ? COLON : address.charCodeAt(i)
    if (code === COLON) {
      if (at > 7) return -1
      groups[at++] = group
      group = 0
      continue
    }
    const digit = code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57
    if (digit < 0 || digit > 15) return -1
    group = ((group << 4) | digit) & 0xffff
  }
  return at
}
