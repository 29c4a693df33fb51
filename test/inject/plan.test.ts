import { describe, expect, test } from 'vitest'
import { checkFile } from '../../inject/check-file.ts'
import { applyEdits } from '../../inject/edit.ts'
import { type Plan, plan } from '../../inject/plan.ts'
import { type Json, mapOf, mapsOf } from '../../inject/shape.ts'
import { statusOf } from '../../inject/status.ts'
import { withdraw } from '../../inject/withdraw.ts'
import { parseConfig } from '../../inject/yaml-values.ts'
import { injectOptions } from './support/options.ts'

const app = { name: 'app', image: 'example/app:1', ports: [{ containerPort: 8080, name: 'http' }] }

function podOf(annotations: Json = {}, spec: Json = {}, labels: Json = { app: 'shop' }): Json {
  return { metadata: { name: 'x', labels, annotations }, spec: { containers: [app], ...spec } }
}

function planned(pod: Json, kind = 'Deployment', more: Parameters<typeof injectOptions>[0] = {}): Plan {
  return plan(pod, { kind, name: null }, injectOptions(more))
}

function injected(
  pod: Json,
  kind?: string,
): { readonly pod: Json; readonly file: Json; readonly notes: readonly string[] } {
  const made = planned(pod, kind)
  if (made.kind !== 'inject') throw new Error(JSON.stringify(made))
  return { pod: applyEdits(pod, made.edits), file: parseConfig(made.file) as Json, notes: made.notes }
}

function errorsOf(pod: Json, kind?: string): readonly string[] {
  const made = planned(pod, kind)
  return made.kind === 'refuse' ? made.errors : []
}

const names = (list: unknown) => mapsOf(list).map(({ name }) => name)

describe('the sidecar', () => {
  test('is the first init container, is restarted, and passes the Pod Security level restricted', () => {
    const { pod } = injected(podOf({}, { initContainers: [{ name: 'init', image: 'x' }] }))
    const spec = mapOf(pod.spec)
    expect(names(spec.initContainers)).toEqual(['outrigger', 'init'])
    expect(names(spec.containers)).toEqual(['app'])
    const sidecar = mapsOf(spec.initContainers)[0]!
    expect(sidecar).toMatchObject({
      restartPolicy: 'Always',
      args: ['proxy', '-c', '/etc/outrigger/sidecar.yaml'],
      startupProbe: { httpGet: { path: '/ready', port: 15020 } },
      lifecycle: { preStop: { exec: { command: ['outrigger', 'leave', '--admin', '127.0.0.1:15000'] } } },
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1337,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
        seccompProfile: { type: 'RuntimeDefault' },
      },
    })
    expect(mapsOf(spec.volumes).map(volume => Object.keys(volume)[1])).toEqual(['downwardAPI', 'emptyDir'])
  })

  test('follows the agent of its node where the options say so, and the pod counts over them', () => {
    const agentOf = (pod: Json, agent: 'node' | 'off') => {
      const made = planned(pod, 'Deployment', { agent })
      return (
        made.kind === 'inject' && [
          mapOf(parseConfig(made.file)).agent,
          made.edits.some(edit => JSON.stringify(edit).includes('hostPath')),
        ]
      )
    }
    expect(agentOf(podOf(), 'off')).toEqual(['off', false])
    expect(agentOf(podOf(), 'node')).toEqual(['unix:/run/outrigger/agent.sock', true])
    expect(agentOf(podOf({ 'outrigger.io/agent': 'off' }), 'node')).toEqual(['off', false])
    expect(agentOf(podOf({ 'outrigger.io/agent': 'node' }), 'off')).toEqual(['unix:/run/outrigger/agent.sock', true])
  })

  test('has the service account of the pod where it reads the API server, whatever the pod says of its own containers', () => {
    const without = { automountServiceAccountToken: false }
    const { pod } = injected(podOf({ 'outrigger.io/config': 'discovery: { kubernetes: {} }' }, without))
    const spec = mapOf(pod.spec)
    expect(mapsOf(mapsOf(spec.initContainers)[0]!.volumeMounts)).toContainEqual({
      name: 'outrigger-account',
      mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
      readOnly: true,
    })
    expect(names(spec.volumes)).toContain('outrigger-account')
    expect(mapsOf(spec.containers)[0]).not.toHaveProperty('volumeMounts')
    const own = 'discovery: { kubernetes: { address: "https://a:6443", tokenFile: /t } }'
    for (const config of [own, 'discovery: { consul: {} }'])
      expect(names(mapOf(injected(podOf({ 'outrigger.io/config': config })).pod.spec).volumes)).not.toContain(
        'outrigger-account',
      )
  })

  test('as a classic container is the first, holds the others back, and leaves kubectl its usual container', () => {
    const { pod } = injected(podOf({ 'outrigger.io/sidecar-mode': 'classic' }))
    const spec = mapOf(pod.spec)
    expect(names(spec.containers)).toEqual(['outrigger', 'app'])
    expect(spec.initContainers).toBeUndefined()
    expect(mapsOf(spec.containers)[0]).toMatchObject({ lifecycle: { postStart: expect.anything() } })
    expect(mapsOf(spec.containers)[0]).not.toHaveProperty('restartPolicy')
    expect(mapOf(mapOf(pod.metadata).annotations)['kubectl.kubernetes.io/default-container']).toBe('app')
  })

  test('does not get rights; the container that sets rules does, before it, and only where connections are intercepted', () => {
    const { pod, file } = injected(
      podOf({
        'outrigger.io/intercept': 'enabled',
        'outrigger.io/skip-outbound-ports': '5432, 8000-8010',
        'outrigger.io/run-as-user': '2000',
      }),
    )
    const [rules, sidecar] = mapsOf(mapOf(pod.spec).initContainers)
    expect(rules).toMatchObject({
      name: 'outrigger-intercept',
      args: [
        'intercept',
        'up',
        '-c',
        '/etc/outrigger/sidecar.yaml',
        '--user=2000',
        '--group=2000',
        '--skip-outbound-ports=5432,8000-8010',
      ],
      securityContext: { runAsUser: 0, capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] } },
    })
    expect(sidecar).toMatchObject({ securityContext: { runAsUser: 2000, capabilities: { drop: ['ALL'] } } })
    expect(file).toMatchObject({
      inbound: [{ listen: '0.0.0.0:15006', transparent: true }],
      outbound: [{ listen: '127.0.0.1:15001', transparent: true, passThrough: 'allow' }],
    })
  })

  test('as a classic container comes after init containers that need the network: so do the rules', () => {
    const annotations = { 'outrigger.io/intercept': 'outbound', 'outrigger.io/sidecar-mode': 'classic' }
    const { pod } = injected(podOf(annotations, { initContainers: [{ name: 'fetch' }] }))
    expect(names(mapOf(pod.spec).initContainers)).toEqual(['fetch', 'outrigger-intercept'])
  })
})

describe('the sidecar file', () => {
  test('has a listener for each TCP port, by the protocol that the name of the port says', async () => {
    const ports = [
      { containerPort: 8080, name: 'http' },
      { containerPort: 9000, name: 'grpc-api' },
      { containerPort: 5432, name: 'postgresql' },
      { containerPort: 7000, name: 'custom' },
      { containerPort: 53, protocol: 'UDP' },
      { containerPort: 20_002 },
    ]
    const { file, pod } = injected(podOf({}, { containers: [{ ...app, ports }] }))
    expect(file.inbound).toEqual([
      { listen: '0.0.0.0:20000', forward: '127.0.0.1:8080' },
      { listen: '0.0.0.0:20001', forward: '127.0.0.1:9000', application: { protocol: 'grpc' } },
      { listen: '0.0.0.0:20003', forward: '127.0.0.1:5432', application: { protocol: 'tcp' } },
      { listen: '0.0.0.0:20004', forward: '127.0.0.1:7000', protocol: 'detect' },
      { listen: '0.0.0.0:20005', forward: '127.0.0.1:20002', protocol: 'detect' },
    ])
    expect(names(mapsOf(mapOf(pod.spec).initContainers)[0]?.ports)).toEqual([
      'outrigger-stats',
      'mesh-http',
      'mesh-grpc-api',
      'mesh-postgresql',
      'mesh-custom',
      'mesh-20002',
    ])
    expect(await checkFile(JSON.stringify(file))).toEqual([])
  })

  test('is made of the base, the pod and its own config, in this order', () => {
    const base = { discovery: { dns: { ttl: 5 } }, accessLog: 'off', admin: 'off' }
    const annotations = { 'outrigger.io/config': 'accessLog: errors\nadmin: "127.0.0.1:9"\noutbound: []\n' }
    const made = planned(podOf(annotations), 'Deployment', { base })
    const file = parseConfig(made.kind === 'inject' ? made.file : '') as Json
    expect(file).toMatchObject({
      service: 'shop',
      discovery: { dns: { ttl: 5 } },
      accessLog: 'errors',
      admin: '127.0.0.1:9',
      outbound: [],
    })
  })

  test('keeps its variables, and text that YAML 1.1 reads as something else is quoted', () => {
    const made = planned(
      podOf({ 'outrigger.io/config': 'zone: "on"\ndiscovery: { consul: { address: "http://${HOST_IP}:8500" } }' }),
    )
    expect(made).toMatchObject({ file: expect.stringMatching(/zone: "on"\n/) })
    expect(made).toMatchObject({ file: expect.stringContaining('address: http://${HOST_IP}:8500') })
  })

  test('drains within the time that the pod has', () => {
    const drain = (annotations: Json, spec: Json) => injected(podOf(annotations, spec)).file.drain
    const classic = { 'outrigger.io/sidecar-mode': 'classic' }
    expect(drain({}, {})).toEqual({ delay: '5s', timeout: '23s' })
    expect(drain({}, { terminationGracePeriodSeconds: 600 })).toEqual({ delay: '5s', timeout: '593s' })
    expect(drain(classic, {})).toEqual({ delay: '5s', timeout: '23s' })
    expect(drain(classic, { terminationGracePeriodSeconds: 10 })).toEqual({ delay: '2s', timeout: '6s' })
    expect(drain({}, { terminationGracePeriodSeconds: 1 })).toEqual({ delay: '0s', timeout: '1s' })
  })

  test('is that of the pod where it brings one', () => {
    const own = 'service: own\n'
    const { pod, file } = injected(podOf({ 'outrigger.io/sidecar': own }))
    expect(file).toEqual({ service: 'own' })
    const status = statusOf(pod)!
    expect(mapOf(mapOf(withdraw(pod, status).metadata).annotations)).toEqual({ 'outrigger.io/sidecar': own })
  })

  test.each([
    [{ app: 'a', 'app.kubernetes.io/name': 'b' }, 'b'],
    [{ app: 'a' }, 'a'],
    [{ 'k8s-app': 'k' }, 'k'],
  ])('names its service after the labels %j', (labels, service) => {
    expect(injected(podOf({}, {}, labels)).file.service).toBe(service)
  })

  test.each([
    [
      {
        generateName: 'orders-6f7d-',
        labels: { 'pod-template-hash': '6f7d' },
        ownerReferences: [{ kind: 'ReplicaSet', name: 'orders-6f7d' }],
      },
      'orders',
    ],
    [{ generateName: 'nightly-29387520-', ownerReferences: [{ kind: 'Job', name: 'nightly-29387520' }] }, 'nightly'],
    [{ name: 'db-0', ownerReferences: [{ kind: 'StatefulSet', name: 'db' }] }, 'db'],
    [{ generateName: 'once-' }, 'once'],
  ])('or after the workload of a pod without labels: %j', (metadata, service) => {
    expect(injected({ metadata, spec: { containers: [app] } }).file.service).toBe(service)
  })
})

test('two containers with a port of the same name get two names', () => {
  const other = { name: 'other', ports: [{ containerPort: 9090, name: 'http' }] }
  const { pod } = injected(podOf({}, { containers: [app, other] }))
  expect(names(mapsOf(mapOf(pod.spec).initContainers)[0]?.ports)).toEqual(['outrigger-stats', 'mesh-http', 'mesh-9090'])
})

describe('what is taken back is what was added', () => {
  test.each([
    podOf(),
    { spec: { containers: [app] }, metadata: { name: 'n' } },
    podOf({ 'outrigger.io/intercept': 'enabled' }, { volumes: [], initContainers: [{ name: 'i' }] }),
    podOf({ 'outrigger.io/sidecar-mode': 'classic' }, { volumes: null }),
  ])('%#', pod => {
    const after = injected(pod).pod
    expect(withdraw(after, statusOf(after)!)).toEqual(pod)
  })
})

describe('errors name the annotation and what to write', () => {
  const a = (name: string, value: unknown) => podOf({ [`outrigger.io/${name}`]: value })
  test.each([
    [
      a('log-levle', 'info'),
      'outrigger.io/log-levle: there is no such annotation: did you mean outrigger.io/log-level?',
    ],
    [
      a('log-level', 'inof'),
      'outrigger.io/log-level: "inof" is not one of debug, info, warn, error, off: did you mean info?',
    ],
    [a('probes-port', '80'), 'outrigger.io/probes-port: "80" is not a whole number from 1024 to 65535'],
    [a('probes-port', 15_021), 'outrigger.io/probes-port: Kubernetes takes texts only: write "15021", with quotes'],
    [
      a('memory-limit', '32Mi'),
      'outrigger.io/memory-limit: "32Mi" is too little: a sidecar needs 96Mi to have room for bodies of requests',
    ],
    [a('config', 'a: [1'), /^outrigger\.io\/config: .*is each line indented/],
    [a('config', '- a'), 'outrigger.io/config: this is no part of a sidecar file: write maps such as "discovery: ..."'],
    [a('inbound-ports', '8080,'), 'outrigger.io/inbound-ports: "8080,": "" is empty: remove the comma'],
    [
      a('protocols', '8080=htp'),
      'outrigger.io/protocols: "8080=htp" is not a port with a protocol: write 8080=grpc, with one of http, http2, grpc, tcp',
    ],
    [
      a('skip-outbound-ports', '5432'),
      'outrigger.io/skip-outbound-ports has an effect with interception only: set outrigger.io/intercept to enabled',
    ],
    [
      a('outbound-port', '15020'),
      'outrigger.io/outbound-port and outrigger.io/probes-port are both 15020: choose another',
    ],
    [
      podOf({}, {}, { app: 'x', 'outrigger.io/log-level': 'debug' }),
      'outrigger.io/log-level is a label here and has no effect: write it under annotations',
    ],
    [
      podOf({}, {}, { app: 'x', 'outrigger.io/inject': 'true' }),
      'the label outrigger.io/inject: "true" is not one of enabled, disabled',
    ],
    [
      podOf({}, { containers: [{ name: 'app', ports: [{ containerPort: 15_001 }] }] }),
      'containerPort 15001 of app is a port of the sidecar: set outrigger.io/outbound-port to another',
    ],
    [
      podOf({ 'outrigger.io/intercept': 'enabled' }, { hostNetwork: true }),
      'hostNetwork: outrigger.io/intercept would redirect the connections of the whole node: remove the annotation',
    ],
    [
      podOf({ 'outrigger.io/intercept': 'enabled' }, { securityContext: { runAsUser: 1337 } }),
      'app runs as user 1337, whose connections are never redirected: set outrigger.io/run-as-user to another',
    ],
    [
      podOf({}, { containers: [app, { name: 'istio-proxy' }] }),
      /the sidecar of Istio.*set the label sidecar\.istio\.io\/inject to "false"/,
    ],
    [podOf({ 'linkerd.io/inject': 'enabled' }), /^linkerd\.io\/inject asks for the sidecar of another mesh/],
    [
      podOf({}, { containers: [{ name: 'outrigger' }] }),
      'containers has "outrigger" already, and outrigger.io/injected is missing: remove it, or rename it',
    ],
    [
      { metadata: {}, spec: { containers: [app] } },
      'nothing names the service of this pod: set outrigger.io/service, or the label app.kubernetes.io/name',
    ],
  ])('%#: %s', (pod, message) => {
    const errors = errorsOf(pod)
    expect(errors).toHaveLength(1)
    if (typeof message === 'string') expect(errors[0]).toBe(message)
    else expect(errors[0]).toMatch(message)
  })

  test('a Job with a classic sidecar is refused; with a native one it is injected', () => {
    expect(errorsOf(podOf({ 'outrigger.io/sidecar-mode': 'classic' }), 'Job')[0]).toContain('never completes')
    expect(errorsOf(podOf(), 'Job')).toEqual([])
  })

  test('a config that the sidecar would refuse is refused now', async () => {
    const made = planned(podOf({ 'outrigger.io/config': 'accessLg: on' }))
    expect(await checkFile(made.kind === 'inject' ? made.file : '')).toEqual([
      'outrigger.io/sidecar: unknown key "accessLg": did you mean "accessLog"?',
    ])
  })

  test('annotations that are together too large, and a file that is', () => {
    expect(errorsOf(podOf({ 'example.com/a': 'x'.repeat(257 * 1024) }))[0]).toMatch(/and Kubernetes takes 262144$/)
    expect(errorsOf(podOf({ 'outrigger.io/config': `zone: ${'x'.repeat(130 * 1024)}` }))[0]).toMatch(
      /more than 120 KiB/,
    )
  })
})

test('a tcpSocket probe behind interception gets a note', () => {
  const containers = [{ ...app, readinessProbe: { tcpSocket: { port: 8080 } } }]
  expect(injected(podOf({ 'outrigger.io/intercept': 'enabled' }, { containers })).notes[0]).toMatch(
    /^readinessProbe of app: /,
  )
  expect(injected(podOf({}, { containers })).notes).toEqual([])
})
