import { isatty } from 'node:tty'
import type { Command } from 'commander'
import type { SidecarMode, UsualAgent } from '../inject/settings.ts'
import { clusterServer } from '../inject/webhook/kubernetes.ts'
import { runInjector } from '../inject/webhook/main.ts'
import { usualLifetimes } from '../inject/webhook/rotation.ts'
import { parseAddress } from '../mesh-config/address.ts'
import { jsonText, printable } from '../mesh-config/agent/printable.ts'

interface Given {
  readonly image?: string
  readonly sidecar: SidecarMode
  readonly agent: UsualAgent
  readonly base?: string
  readonly listen: string
  readonly probes: string
  readonly service: string
  readonly hosts: readonly string[]
  readonly secret: string
  readonly webhooks: string
  readonly excludeNamespaces: readonly string[]
  readonly apiServer?: string
  readonly serviceAccount: string
  readonly round: string
  readonly drain: string
}

/** `outrigger injector`: the webhook that injects pods as they are created. */
export function addInjectorCommand(program: Command, version: string): void {
  const command = program.command('injector')
  command
    .description('run the webhook that adds the sidecar to pods as Kubernetes creates them')
    .option('--image <image>', `the image of sidecars (default: outrigger:${version})`)
    .addOption(
      command
        .createOption('--sidecar <mode>', 'an init container that goes on running (Kubernetes 1.29), or a container')
        .choices(['native', 'classic'])
        .default('native'),
    )
    .addOption(
      command
        .createOption('--agent <which>', 'what sidecars follow: the agent of their node, or none')
        .choices(['node', 'off'])
        .default('off'),
    )
    .option('--base <file>', 'a part of a sidecar file that every sidecar gets; it is read again when it changes')
    .option('--listen <address>', 'where the API server calls', '0.0.0.0:8443')
    .option('--probes <address>', '/healthz, /readyz and /metrics', '0.0.0.0:15020')
    .option('--service <name>', 'the Service in front of the webhook, in its namespace', 'outrigger-injector')
    .option('--hosts <names...>', 'more names in the certificate, for an API server that calls by a URL', [])
    .option('--secret <name>', 'the Secret with the certificate, which all replicas share', 'outrigger-injector-tls')
    .option('--webhooks <name>', 'the MutatingWebhookConfiguration that gets the caBundle', 'outrigger-injector')
    .option('--exclude-namespaces <names...>', 'their pods are never touched', ['kube-system', 'kube-node-lease'])
    .option('--api-server <url>', 'the Kubernetes API (default: that of the cluster this runs in)')
    .option(
      '--service-account <folder>',
      'with token, ca.crt and namespace',
      '/var/run/secrets/kubernetes.io/serviceaccount',
    )
    .option('--round <seconds>', 'how often certificate, caBundle and base file are looked at', '30')
    .option('--drain <seconds>', 'after SIGTERM, how long to go on serving', '5')
    .addHelpText(
      'after',
      `
It makes its certificate, renews it, and puts it into the MutatingWebhookConfiguration by itself. Several replicas share
one through the Secret. The chart in deploy/helm/outrigger, and without Helm deploy/kubernetes/injector.yaml, have all it
needs; docs/kubernetes.md tells the rest.

Examples:
  kubectl apply -f deploy/kubernetes/injector.yaml
  kubectl label namespace shop outrigger.io/inject=enabled

Exit codes:
  0   ended by SIGTERM or SIGINT     1   could not start     2   the command line is wrong`,
    )
    .action(async (given: Given, self: Command) => {
      const server = given.apiServer ?? clusterServer(process.env)
      if (server === null || !URL.canParse(server))
        return self.error('error: this runs in no Kubernetes cluster: name its API with --api-server https://host:6443')
      const seconds = (name: string, text: string) =>
        /^\d{1,5}(\.\d+)?$/.test(text)
          ? Number(text) * 1000
          : self.error(`error: --${name} ${text}: write seconds, such as 30`)
      const address = (name: string, text: string) =>
        parseAddress(text) ?? self.error(`error: --${name} ${text}: write address:port, such as 0.0.0.0:8443`)
      try {
        await runInjector({
          version,
          image: given.image ?? `outrigger:${version}`,
          mode: given.sidecar,
          agent: given.agent,
          base: given.base ?? null,
          listen: address('listen', given.listen),
          probes: address('probes', given.probes),
          server,
          serviceAccount: given.serviceAccount,
          keeping: {
            service: given.service,
            secret: given.secret,
            webhooks: given.webhooks,
            lifetimes: usualLifetimes,
          },
          hosts: given.hosts,
          excluded: given.excludeNamespaces,
          roundMs: Math.max(1000, seconds('round', given.round)),
          drainMs: seconds('drain', given.drain),
          say,
        })
        process.exit(0)
      } catch (error) {
        process.stderr.write(`outrigger injector: ${printable((error as Error).message)}\n`)
        process.exit(1)
      }
    })
}

function say(level: 'info' | 'warn' | 'error', message: string): void {
  const time = new Date().toISOString()
  process.stderr.write(
    isatty(2)
      ? `${time.slice(11, 23)} ${level.padEnd(5)} ${printable(message)}\n`
      : `${jsonText({ time, level, msg: message })}\n`,
  )
}
