import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Session, talk } from '../../console/session.ts'
import { node, run, startChild, temporaryFolder } from '../../integration/support/child.ts'
import { npmProgram } from '../../integration/support/machine.ts'
import { npm, packInto } from '../../integration/support/packed.ts'
import { until } from '../../integration/support/until.ts'
import { tool } from '../../peers/find.ts'
import { obtain } from '../../peers/obtain.ts'

/**
 * A machine whose first process is systemd: namespaces over the files of this machine, which stay as they are. It has
 * Node 26 and npm in /usr/local, as nodejs.org packs them, Consul, and no network but its own.
 */
export interface SystemdMachine extends AsyncDisposable {
  /** Runs a line of the shell in it, as root; its code is not looked at. */
  sh(line: string): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>
  /** The same; rejects when it fails. */
  must(line: string): Promise<string>
  write(path: string, text: string): Promise<void>
  session(): Session
}

export const ADDRESS = '10.79.0.2'

/** What its first process does before it becomes systemd. /proc/sys and /sys are this machine's, and may be read only. */
const BOOT = `set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$WORK"
mkdir "$WORK/upper" "$WORK/work" "$WORK/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
cd "$WORK/root"
rm -rf etc/systemd/system/* usr/local/bin/node usr/local/bin/npm usr/local/bin/consul usr/local/lib/node_modules
mkdir -p usr/local/bin usr/local/lib/node_modules/npm old root
touch usr/local/bin/node usr/local/bin/consul
mount --bind "$NODE" usr/local/bin/node
mount --bind "$CONSUL" usr/local/bin/consul
mount --bind "$NPM" usr/local/lib/node_modules/npm
ln -s ../lib/node_modules/npm/bin/npm-cli.js usr/local/bin/npm
cp -a "$GIVEN/." root/
rm -f etc/resolv.conf
echo 'nameserver 10.79.0.1' > etc/resolv.conf
echo vm > etc/hostname
printf '127.0.0.1 localhost vm\\n' > etc/hosts
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs sys sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=755 run run
mount -t tmpfs tmp tmp
mount -t tmpfs -o mode=755 dev dev
for each in null zero full random urandom tty; do cp -a /dev/$each dev/; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
touch dev/console
mount --bind /dev/null dev/console
hostname vm
ip link set lo up
ip link add eth0 type veth peer name wire
ip address add ${ADDRESS}/24 dev eth0
ip link set wire up
ip link set eth0 up
ip route add default via 10.79.0.1
pivot_root . old
umount -l /old
exec /lib/systemd/systemd --unit=basic.target --log-target=journal --log-level=warning --show-status=0`

const UNSHARED = ['--mount', '--pid', '--uts', '--ipc', '--net', '--cgroup', '--fork', '--kill-child=KILL']

export async function startSystemd(): Promise<SystemdMachine> {
  for (const peer of ['ip', 'nft', 'curl', 'systemd-analyze'] as const) await obtain(peer)
  const given = temporaryFolder()
  const registry = await givePackage(given)
  const work = mkdtempSync('/tmp/outrigger-systemd-')
  const groups = makeGroups(basename(work))
  const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  // It is put into its control groups before it sees nothing above them any more.
  const enter = groups.map(group => `echo $$ > ${group}/cgroup.procs && `).join('')
  const first = startChild(
    '/bin/sh',
    ['-c', `${enter}exec "$@"`, 'sh', tool('unshare'), ...UNSHARED, '/bin/sh', '-c', BOOT],
    {
      PATH,
      container: 'outrigger-test',
      WORK: work,
      NODE: node,
      CONSUL: await obtain('consul'),
      NPM: dirname(dirname(realpathSync(npmProgram('npm')))),
      GIVEN: given,
    },
  )
  const pid = await until('the first process of the machine', () => {
    if (!first.running()) throw new Error(`the machine ended: ${first.out()}${first.err()}`)
    const child = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, 'utf8').trim()
    return child !== '' && readFileSync(`/proc/${child}/cmdline`, 'utf8').startsWith('/lib/systemd/') && child
  })
  const enterArgs = ['--target', pid, '--all', '/usr/bin/env', '-i', '-C', '/root', ...environment(PATH, registry)]
  const sh = (line: string) => run(tool('nsenter'), [...enterArgs, '/bin/bash', '-c', line])
  const machine: SystemdMachine = {
    sh,
    async must(line) {
      const { code, out, err } = await sh(line)
      if (code !== 0) throw new Error(`${line}: ${out}${err}`)
      return out
    },
    write: async (path, text) => void (await machine.must(`cat > ${path} <<'END'\n${text}END\n`)),
    session: () => talk(tool('nsenter'), [...enterArgs, '/bin/bash', '--noprofile', '--norc'], { env: {} }),
    async [Symbol.asyncDispose]() {
      first.signal('SIGKILL')
      await first.ended
      rmSync(work, { recursive: true })
      await until('that its control groups are empty', () => groups.every(removeGroups))
    },
  }
  await until('that systemd has booted', async () => (await sh('systemctl is-active basic.target')).code === 0)
  return machine
}

function environment(PATH: string, registry: string): string[] {
  const env = { PATH, HOME: '/root', LC_ALL: 'C.UTF-8', NO_COLOR: '1', TERM: 'dumb' }
  // There is no network to a registry: packages come from the cache of npm.
  const npm = { npm_config_registry: registry, npm_config_offline: 'true', npm_config_update_notifier: 'false' }
  return Object.entries({ ...env, ...npm }).map(([name, value]) => `${name}=${value}`)
}

/** Our package, and a cache of npm with what it needs. The registry that this came from. */
async function givePackage(folder: string): Promise<string> {
  const tarball = await packInto(folder)
  const into = ['--prefix', temporaryFolder(), '--cache', join(folder, '.npm')]
  await npm(['install', '--global', ...into, tarball], folder)
  return (await npm(['config', 'get', 'registry'], folder)).trim().split('\n').at(-1)!
}

/** A control group of its own wherever systemd has one. */
function makeGroups(name: string): string[] {
  const top = '/sys/fs/cgroup'
  const folders = existsSync(join(top, 'cgroup.controllers')) ? [top] : [join(top, 'systemd'), join(top, 'unified')]
  const groups = folders.map(folder => join(folder, name))
  for (const group of groups) mkdirSync(group)
  return groups
}

/** False: a process of it has not gone yet. */
function removeGroups(group: string): boolean {
  if (!existsSync(group)) return true
  const inner = readdirSync(group, { withFileTypes: true }).filter(each => each.isDirectory())
  if (!inner.every(({ name }) => removeGroups(join(group, name)))) return false
  try {
    rmdirSync(group)
    return true
  } catch {
    return false
  }
}
