import { existsSync } from 'node:fs'
import { type DevFile, variableName } from '../mesh-config/dev/load-dev-file.ts'
import type { Environment } from '../mesh-config/environment.ts'
import type { PlannedInstance } from './plan.ts'

/** What an application finds in its environment: its own port, and how it calls the others. */
export function environmentOf(
  dev: DevFile,
  { name, service, ports }: PlannedInstance,
  around: Environment,
  coloured: boolean,
): NodeJS.ProcessEnv {
  return {
    ...around,
    ...(coloured && around.FORCE_COLOR === undefined ? { FORCE_COLOR: '1' } : {}),
    PORT: String(ports.app),
    OUTRIGGER_SERVICE: service.name,
    OUTRIGGER_INSTANCE: name,
    OUTRIGGER_PROXY: `http://127.0.0.1:${ports.outbound}`,
    ...addresses(dev, ports.to),
    ...(dev.propagate ? { NODE_OPTIONS: withPropagate(around.NODE_OPTIONS) } : {}),
    ...service.env,
  }
}

/** `ORDERS_URL` and `ORDERS_ADDRESS` of each service. */
export function addresses(dev: DevFile, to: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(
    dev.services.flatMap(({ name, protocol }) => {
      const address = `127.0.0.1:${to[name]}`
      const scheme = protocol === 'tcp' ? 'tcp' : 'http'
      return [
        [`${variableName(name)}_URL`, `${scheme}://${address}`],
        [`${variableName(name)}_ADDRESS`, address],
      ]
    }),
  )
}

/** Beside this file when installed (dist/), else as a clone has it. */
const propagate = ['./propagate.js', '../dist/propagate.js', '../propagate/main.ts']
  .map(path => new URL(path, import.meta.url))
  .find(url => existsSync(url))

function withPropagate(options: string | undefined): string {
  const flag = propagate === undefined ? '' : `--import=${propagate.href}`
  return options === undefined || options === '' ? flag : `${options} ${flag}`
}
