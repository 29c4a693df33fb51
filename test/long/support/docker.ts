import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from '../../integration/support/child.ts'
import { until } from '../../integration/support/until.ts'
import { tool } from '../../peers/find.ts'
import { run as finished, must } from '../../peers/shell.ts'

/** A Docker of the test's own: its daemon, images and containers are in a temporary folder. It needs root. */
export interface Docker extends AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly address: string
  /** Of the daemon, whose network is that of its published ports. */
  readonly pid: number
  /** What `docker <args>` prints; rejects with the end of that where it fails. */
  docker(args: readonly string[], timeoutMs?: number): Promise<string>
  /** The same, whatever its exit code. */
  tried(args: readonly string[]): Promise<{ readonly code: number; readonly output: string }>
}

/** BuildKit must be in the client: another `docker` on PATH may lack it. */
const CLIENT = '/usr/bin/docker'

/**
 * In the network of this machine, containers use that network or none: the rules of the machine are not the test's to
 * change. With a network of its own the daemon is as usual, and makes networks for containers.
 */
export async function startDocker(network: 'of the machine' | 'own' = 'of the machine'): Promise<Docker> {
  // Short, because containerd's socket is three folders below, and the address of a socket has 107 bytes at most.
  const folder = mkdtempSync('/tmp/outrigger-docker-')
  const socket = `unix://${join(folder, 's')}`
  const args = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'x'), '-H', socket]
  const dockerd = [tool('dockerd'), ...args, '--pidfile', join(folder, 'pid')]
  const daemon: Child =
    network === 'own'
      ? startChild(tool('unshare'), [
          '--net',
          'sh',
          '-c',
          `${tool('ip')} link set lo up && exec "$@"`,
          'sh',
          ...dockerd,
        ])
      : startChild(dockerd[0]!, [...dockerd.slice(1), '--iptables=false', '--ip6tables=false', '--bridge=none'])
  const env = { DOCKER_BUILDKIT: '1', DOCKER_CONFIG: folder }
  const docker = (args: readonly string[], timeoutMs = 600_000) =>
    must(CLIENT, ['-H', socket, ...args], { env, timeoutMs })
  const tried = (args: readonly string[]) => finished(CLIENT, ['-H', socket, ...args], { env })
  await until('that dockerd answers', async () => {
    if (!daemon.running()) throw new Error(`dockerd ended: ${daemon.err().slice(-2000)}`)
    return (await tried(['version'])).code === 0
  })
  return {
    address: socket,
    pid: daemon.pid,
    docker,
    tried,
    async [Symbol.asyncDispose]() {
      const containers = (await tried(['ps', '-aq'])).output.trim().split(/\s+/).filter(Boolean)
      if (containers.length > 0) await tried(['rm', '-f', ...containers])
      await daemon.stop()
      await clear(folder)
    },
  }
}

/** Layers of a container that was killed may still be mounted. */
async function clear(folder: string): Promise<void> {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(place => place.startsWith(`${folder}/`))
  for (const place of mounts.reverse()) await must(tool('umount'), ['-l', place])
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}
