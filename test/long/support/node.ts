import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Child, startChild } from '../../integration/support/child.ts'
import { machinePath } from '../../integration/support/machine.ts'
import { childrenOf } from '../../integration/support/pair.ts'
import { until } from '../../integration/support/until.ts'
import { tool } from '../../peers/find.ts'
import { obtain } from '../../peers/obtain.ts'
import { must } from '../../peers/shell.ts'
import { type Cluster, startCluster } from './cluster.ts'

/**
 * A real Kubernetes node beside the API server of the test: kubelet, containerd and runc. It has namespaces of its own
 * for processes, mounts and the network, so all of it ends with its first process, and nothing of the machine changes
 * but a pair of network devices and a control group, both named for it.
 */
export interface KubernetesNode extends AsyncDisposable {
  readonly cluster: Cluster
  /** The address of this machine for pods. Pods have addresses that this machine reaches. */
  readonly host: string
}

export const NODE = 'node1'

const CGROUPS = '/sys/fs/cgroup'
const PATH = `${machinePath}:/usr/local/sbin:/usr/sbin:/sbin`
/** The kubelet sets them for the whole machine: it gets files of its own. */
const SYSCTLS = [
  ...['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'],
  ...['kernel/keys/root_maxkeys', 'kernel/keys/root_maxbytes'],
]
/** Where kubelet, containerd and plugins write, whatever they are told. */
const FOLDERS = ['/var/lib/cni', '/var/lib/kubelet', '/var/log/containers']

/** `images`: tars of `docker save`. `sandbox`: the image whose process holds the namespaces of a pod. */
export async function startNode(images: readonly string[], sandbox: string): Promise<KubernetesNode> {
  demandMachine()
  const [containerd, kubelet, ip, plugin] = await Promise.all([
    obtain('containerd'),
    obtain('kubelet'),
    obtain('ip'),
    obtain('cni-plugins'),
  ])
  const name = `outrigger-node-${process.pid}`
  const folder = mkdtempSync('/tmp/outrigger-node-')
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })]
  const dispose = async () => {
    const failed: unknown[] = []
    for (const each of undo.splice(0).reverse())
      try {
        await each()
      } catch (error) {
        failed.push(error)
      }
    if (failed.length > 0) throw failed[0]
  }
  try {
    const network = await makeNetwork(ip, name, undo)
    const groups = makeGroups(name)
    undo.push(() => removeGroups(groups))
    const cluster = await startCluster(network.host)
    undo.push(() => cluster[Symbol.asyncDispose]())

    const socket = join(folder, 'containerd.sock')
    const settings = { folder, socket, sandbox, name, plugins: dirname(plugin), ...network }
    writeFileSync(join(folder, 'containerd.toml'), containerdFile(settings))
    mkdirSync(join(folder, 'cni'))
    writeFileSync(join(folder, 'cni/10-pods.conflist'), JSON.stringify(networkFile(settings)))
    writeFileSync(join(folder, 'kubelet.json'), JSON.stringify(kubeletFile(settings)))
    copyFileSync(cluster.kubeconfig, join(folder, 'kubeconfig'))
    for (const each of ['kubelet', 'static', 'sysctl']) mkdirSync(join(folder, each))

    const first = startChild(
      tool('nsenter'),
      [
        ...[`--net=/run/netns/${name}`, tool('unshare'), '--mount', '--pid', '--fork', '--kill-child=KILL'],
        ...['--mount-proc', '/bin/sh', '-ec', script(folder), containerd, '-c', join(folder, 'containerd.toml')],
      ],
      { PATH },
    )
    undo.push(async () => {
      first.signal('SIGKILL')
      await first.ended
    })
    const init = await until('the first process of the node', () => childrenOf(first.pid)[0] ?? !first.running())
    if (init === true) throw new Error(`the namespaces of the node cannot be made: ${first.err()}`)
    const start = (command: string, args: readonly string[]) =>
      startChild(tool('nsenter'), ['-t', String(init), '-m', '-n', '-p', command, ...args], { PATH })
    const images_ = (...args: string[]) => ended(start(tool('ctr'), ['-a', socket, '-n', 'k8s.io', 'images', ...args]))
    await until('that containerd answers', async () => {
      if (!first.running()) throw new Error(`containerd ended: ${first.err().slice(-4000)}`)
      return (await images_('ls', '-q')).code === 0
    })
    for (const image of images) {
      const { code, said } = await images_('import', image)
      if (code !== 0) throw new Error(`${image} cannot be imported: ${said}`)
    }
    const daemon = start(kubelet, [
      `--config=${join(folder, 'kubelet.json')}`,
      `--kubeconfig=${join(folder, 'kubeconfig')}`,
      `--root-dir=${join(folder, 'kubelet')}`,
      `--cert-dir=${join(folder, 'kubelet')}`,
      `--hostname-override=${NODE}`,
      `--node-ip=${network.node}`,
    ])
    await until('that the node is ready', async () => {
      if (!daemon.running()) throw new Error(`the kubelet ended: ${daemon.err().slice(-4000)}`)
      const { body } = await cluster.admin.ask('GET', `/api/v1/nodes/${NODE}`)
      const { conditions } = (body.status ?? {}) as { conditions?: { type: string; status: string }[] }
      return conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
    })
    return { cluster, host: network.host, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** Said at once, and together: the errors of a kubelet are hard to read. */
function demandMachine(): void {
  const has = (file: string) => existsSync(join(CGROUPS, file))
  const lacks = [
    ...(process.getuid?.() === 0 ? [] : ['root']),
    ...(has('memory') || has('cgroup.controllers') ? [] : [`control groups at ${CGROUPS}, with one for memory`]),
    ...(tool('nsenter') === 'nsenter' || tool('unshare') === 'unshare' ? ['nsenter and unshare (util-linux)'] : []),
  ]
  if (lacks.length > 0)
    throw new Error(
      `A Kubernetes node cannot be started here. What is missing: ${lacks.join('; ')}. In a container, run it with --privileged.`,
    )
}

interface Network {
  readonly host: string
  readonly node: string
  /** Of the pods. */
  readonly range: string
}

async function makeNetwork(ip: string, name: string, undo: (() => unknown)[]): Promise<Network> {
  // Several tests may run at once.
  const number = process.pid % 250
  const network = { host: `10.213.${number}.1`, node: `10.213.${number}.2`, range: `10.214.${number}.0/24` }
  const device = `og${process.pid}`
  await must(ip, ['netns', 'add', name])
  // The devices and the route go with it.
  undo.push(() => must(ip, ['netns', 'del', name]))
  const inside = (...args: string[]) => must(ip, ['-n', name, ...args])
  await must(ip, ['link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name])
  await must(ip, ['addr', 'add', `${network.host}/24`, 'dev', device])
  await must(ip, ['link', 'set', device, 'up'])
  await inside('link', 'set', 'lo', 'up')
  await inside('addr', 'add', `${network.node}/24`, 'dev', 'eth0')
  await inside('link', 'set', 'eth0', 'up')
  await inside('route', 'add', 'default', 'via', network.host)
  await must(ip, ['route', 'add', network.range, 'via', network.node])
  return network
}

/** One folder, or with version 1 one of each controller. */
function makeGroups(name: string): string[] {
  const isOne = existsSync(join(CGROUPS, 'cgroup.controllers'))
  const roots = isOne
    ? [CGROUPS]
    : readdirSync(CGROUPS, { withFileTypes: true })
        .filter(entry => entry.isDirectory())
        .map(entry => join(CGROUPS, entry.name))
  if (isOne) {
    const controllers = readFileSync(join(CGROUPS, 'cgroup.controllers'), 'utf8').trim().split(' ')
    writeFileSync(join(CGROUPS, 'cgroup.subtree_control'), controllers.map(each => `+${each}`).join(' '))
  }
  return roots.map(root => {
    const group = join(root, name)
    mkdirSync(group)
    // Without them no process can be in it.
    for (const file of isOne ? [] : ['cpuset.cpus', 'cpuset.mems'])
      if (existsSync(join(root, file))) writeFileSync(join(group, file), readFileSync(join(root, file)))
    return group
  })
}

async function removeGroups(groups: readonly string[]): Promise<void> {
  const remove = (group: string) => {
    for (const entry of readdirSync(group, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(group, entry.name))
    rmdirSync(group)
  }
  // The kernel lets go of a process a little after its end.
  for (const group of groups)
    await until(`that ${group} is empty`, () => {
      try {
        remove(group)
        return true
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'ENOENT') return true
        if (code === 'EBUSY') return false
        throw error
      }
    })
}

function script(folder: string): string {
  return `
    mount -t tmpfs tmpfs /run
    for each in ${FOLDERS.join(' ')}; do mkdir -p $each; mount -t tmpfs tmpfs $each; done
    for each in ${SYSCTLS.join(' ')}; do
      own=${folder}/sysctl/$(echo $each | tr / _)
      cat /proc/sys/$each > $own
      mount --bind $own /proc/sys/$each
    done
    echo 1 > /proc/sys/net/ipv4/ip_forward
    mount --bind ${folder}/kubelet ${folder}/kubelet
    mount --make-rshared ${folder}/kubelet
    exec "$0" "$@"`
}

interface Settings extends Network {
  readonly folder: string
  readonly socket: string
  readonly sandbox: string
  readonly name: string
  readonly plugins: string
}

function containerdFile({ folder, socket, sandbox, plugins }: Settings): string {
  return `version = 2
root = "${folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandbox}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${plugins}"
    conf_dir = "${folder}/cni"
`
}

function networkFile({ folder, range }: Settings): object {
  const ipam = {
    type: 'host-local',
    dataDir: join(folder, 'ipam'),
    ranges: [[{ subnet: range }]],
    routes: [{ dst: '0.0.0.0/0' }],
  }
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [{ type: 'bridge', bridge: 'pods0', isGateway: true, ipam }],
  }
}

function kubeletFile({ folder, socket, name }: Settings): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    staticPodPath: join(folder, 'static'),
    containerRuntimeEndpoint: `unix://${socket}`,
    cgroupDriver: 'cgroupfs',
    // Another kubelet of this machine ends what it finds in its own.
    cgroupRoot: `/${name}`,
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    makeIPTablesUtilChains: false,
    localStorageCapacityIsolation: false,
    syncFrequency: '1s',
    nodeStatusUpdateFrequency: '2s',
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    resolvConf: '',
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '10Mi' },
    volumePluginDir: join(folder, 'plugins'),
    podLogsDir: join(folder, 'logs'),
  }
}

async function ended(child: Child): Promise<{ readonly code: number | null; readonly said: string }> {
  const { code } = await child.ended
  return { code, said: child.out() + child.err() }
}
