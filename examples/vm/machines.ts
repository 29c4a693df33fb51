import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { tool } from '../../test/peers/find.ts'
import { root } from '../support/processes.ts'

/**
 * Machines made of Linux namespaces: each has a network, an /etc, a host name and processes of its own, and shares only
 * programs with this one. They need root, or a user namespace. When this process ends, however it does, they are gone.
 */
export interface Machine {
  readonly name: string
  readonly address: string
  /** Of its first process; everything in the machine ends with it. */
  readonly pid: number
  /** Starts a program, as root, in the folder of the repository. */
  start(command: readonly string[], env?: Readonly<Record<string, string>>): Program
  /** What it prints; rejects with the end of what it said when it fails. */
  run(command: readonly string[]): Promise<string>
}

export interface Program {
  /** As the machine it runs on counts, and as this one does. */
  readonly pid: number
  ended(): string | null
  readonly gone: Promise<string>
  lastWords(lines: number): string
}

export const REGISTRY = '10.78.0.1'
export const WEB = '10.78.0.11'
/** Not of the network of the machines: what is there has no sidecar and is in no registry. */
export const OUTSIDE = '203.0.113.7'
const PATH = `/opt/bin:${process.env.PATH ?? ''}:/usr/sbin:/sbin`

/**
 * What the first process of a machine does: it makes /etc, /run and /opt its own. The folder of the repository is
 * entered before /opt is covered, since it may be there.
 */
const BOOT = `set -e
hostname "$NAME"
cd "$ROOT"
mount -t tmpfs -o mode=755 machine /opt
mkdir -p /opt/bin /opt/etc /opt/outrigger
mount --bind . /opt/outrigger
ln -s ../outrigger/bin/outrigger.js /opt/bin/outrigger
ln -s ../outrigger/node_modules/node/bin/node /opt/bin/node
cat > /opt/bin/shell <<'END'
#!/bin/sh
cd /opt/outrigger
export PATH=/opt/bin:$PATH PS1="$(hostname)# "
exec sh
END
chmod 755 /opt/bin/shell
cp -a /etc/. /opt/etc 2>/dev/null || true
mount --bind /opt/etc /etc
mount -t tmpfs -o mode=755 machine /run
rm -f /etc/resolv.conf /etc/hosts
echo "nameserver ${REGISTRY}" > /etc/resolv.conf
printf '127.0.0.1 localhost %s\\n${OUTSIDE} api.example.com\\n' "$NAME" > /etc/hosts
echo 'outrigger:x:1337:1337::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
echo 'shop:x:2000:2000::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
echo 'outrigger:x:1337:' >> /etc/group
echo 'shop:x:2000:' >> /etc/group
mkdir -p /etc/outrigger
cp /opt/outrigger/examples/vm/*.yaml /etc/outrigger/
chmod 755 /etc/outrigger
echo booted
exec sleep infinity`

const UNSHARED = ['--net', '--mount', '--uts', '--pid', '--fork', '--kill-child=KILL', '--mount-proc']

/** The first machine: a switch for the others, with the registry and, behind it, the world outside. */
export async function startNetwork(): Promise<Machine> {
  const machine = await boot('network', REGISTRY)
  for (const each of [
    ['link', 'add', 'br0', 'type', 'bridge'],
    ['addr', 'add', `${REGISTRY}/24`, 'dev', 'br0'],
    ['addr', 'add', `${OUTSIDE}/32`, 'dev', 'lo'],
    ['link', 'set', 'br0', 'up'],
  ])
    await machine.run(['ip', ...each])
  return machine
}

/** A machine with a cable to the switch. */
export async function startMachine(name: string, address: string, network: Machine): Promise<Machine> {
  const machine = await boot(name, address)
  // Both ends are seen from here only.
  const cable = ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', `${machine.pid}`]
  await finished(tool('nsenter'), [`--net=/proc/${network.pid}/ns/net`, 'ip', ...cable])
  await network.run(['ip', 'link', 'set', name, 'master', 'br0', 'up'])
  await machine.run(['ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0'])
  await machine.run(['ip', 'link', 'set', 'eth0', 'up'])
  await machine.run(['ip', 'route', 'add', 'default', 'via', REGISTRY])
  return machine
}

async function boot(name: string, address: string): Promise<Machine> {
  const env = { ...process.env, NAME: name, ROOT: root, PATH }
  const first = spawn(tool('setpriv'), ['--pdeathsig', 'KILL', tool('unshare'), ...UNSHARED, 'sh', '-c', BOOT], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const words = keepWords(first)
  await Promise.race([once(first.stdout!, 'data'), ended(first)])
  if (!words().includes('booted')) throw new Error(`${name} could not be made: ${words().trim()}`)
  // unshare waits for the first process of the machine, which is its only child.
  const pid = Number(readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, 'utf8').trim())
  const enter = (command: readonly string[]) => [
    ...['--target', `${pid}`, '--net', '--mount', '--uts', '--pid', 'sh', '-c', 'cd /opt/outrigger && exec "$@"', 'sh'],
    ...command,
  ]
  const machine: Machine = {
    name,
    address,
    pid,
    start: (command, more = {}) =>
      program(spawn(tool('nsenter'), enter(command), options({ ...more, ADDRESS: address }))),
    run: command => finished(tool('nsenter'), enter(command), { ADDRESS: address }),
  }
  await machine.run(['ip', 'link', 'set', 'lo', 'up'])
  return machine
}

function options(more: Readonly<Record<string, string>> = {}): SpawnOptions {
  // Nothing of the settings of this machine's user reaches the other machines.
  return { env: { PATH, ...more }, stdio: ['ignore', 'pipe', 'pipe'], detached: true }
}

function program(child: ChildProcess): Program {
  const words = keepWords(child)
  let how: string | null = null
  const gone = ended(child).then(reason => (how = reason))
  return {
    pid: child.pid ?? -1,
    ended: () => how,
    gone,
    lastWords: lines => words().trimEnd().split('\n').slice(-lines).join('\n'),
  }
}

const KEPT = 16_384

function keepWords({ stdout, stderr }: ChildProcess): () => string {
  let text = ''
  for (const stream of [stdout!, stderr!])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text = (text + more).slice(-KEPT)
    })
  return () => text
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise(done => {
    child.once('error', error => done(error.message))
    child.once('exit', (code, signal) => done(signal === null ? `exit code ${code}` : `signal ${signal}`))
  })
}

function finished(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((done, fail) => {
    execFile(command, args, { env: options(env).env, maxBuffer: 1 << 24 }, (error, out, err) => {
      if (error === null) done(out)
      else fail(new Error(`${args.slice(args.indexOf('sh') + 4).join(' ')}: ${err.trim() || error.message}`))
    })
  })
}
