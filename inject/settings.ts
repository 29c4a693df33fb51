import { sidecarUser, usualPorts } from '../mesh-config/usual-ports.ts'
import type { Asked } from './annotations.ts'
import type { Json } from './shape.ts'

export type SidecarMode = 'native' | 'classic'
export type UsualAgent = 'node' | 'off'

/** What holds for all pods: options of the command, or of the webhook. */
export interface Options {
  readonly version: string
  /** Who injects. */
  readonly by: 'inject' | 'injector'
  readonly image: string
  readonly mode: SidecarMode
  /** What sidecars follow whose pods do not say it. */
  readonly agent: UsualAgent
  /** Parts of a sidecar file that every sidecar has, such as `discovery`. */
  readonly base: Json
}

export interface Ports {
  readonly outbound: number
  /** Without interception: of the first port of the application. */
  readonly inbound: number
  readonly probes: number
  readonly admin: number
  readonly dns: number
}

export interface Settings {
  readonly options: Options
  readonly asked: Asked
  readonly mode: SidecarMode
  readonly intercept: { readonly inbound: boolean; readonly outbound: boolean }
  readonly ports: Ports
  /** `node`, `off` or an address. */
  readonly agent: string
  readonly user: number
}

/** The first of the ports that listeners without interception take. */
const FIRST_INBOUND = 20_000
const ADMIN = 15_000

export function settingsOf(asked: Asked, options: Options): Settings {
  const outbound = asked.intercept === 'enabled' || asked.intercept === 'outbound'
  const inbound = asked.intercept === 'enabled'
  return {
    options,
    asked,
    mode: asked['sidecar-mode'] ?? options.mode,
    intercept: { inbound, outbound },
    ports: {
      outbound: asked['outbound-port'] ?? usualPorts.outbound,
      inbound: asked['inbound-port'] ?? (inbound ? usualPorts.inbound : FIRST_INBOUND),
      probes: asked['probes-port'] ?? usualPorts.probes,
      admin: asked['admin-port'] ?? ADMIN,
      dns: asked['dns-port'] ?? usualPorts.dns,
    },
    agent: asked.agent ?? options.agent,
    user: asked['run-as-user'] ?? sidecarUser,
  }
}

export function hasDns({ asked, intercept }: Settings): boolean {
  return intercept.outbound && asked.dns === 'enabled'
}
