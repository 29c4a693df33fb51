import { Command } from 'commander'

type Add = (program: Command, version: string) => Promise<void>

/**
 * Each command's module is loaded on demand: `proxy` must be ready in a quarter of a second, and needs little of what
 * the others need.
 */
export const commands = {
  proxy: async (program, version) => (await import('./proxy.ts')).addProxyCommand(program, version),
  run: async (program, version) => (await import('./run.ts')).addRunCommand(program, version),
  agent: async (program, version) => (await import('./agent.ts')).addAgentCommand(program, version),
  status: async program => (await import('./status.ts')).addStatusCommand(program),
  top: async program => (await import('./top.ts')).addTopCommand(program),
  policy: async program => (await import('./policy.ts')).addPolicyCommand(program),
  intercept: async program => (await import('./intercept.ts')).addInterceptCommand(program),
  dev: async (program, version) => (await import('./dev.ts')).addDevCommand(program, version),
  inject: async (program, version) => (await import('./inject.ts')).addInjectCommand(program, version),
  injector: async (program, version) => (await import('./injector.ts')).addInjectorCommand(program, version),
  config: async program => (await import('./config.ts')).addConfigCommand(program),
  explain: async program => (await import('./explain.ts')).addExplainCommand(program),
  endpoints: async program => (await import('./admin.ts')).addEndpointsCommand(program),
  flights: async program => (await import('./admin.ts')).addFlightsCommand(program),
  ready: async program => (await import('./admin.ts')).addReadyCommand(program),
  leave: async program => (await import('./admin.ts')).addLeaveCommand(program),
  drain: async program => (await import('./admin.ts')).addDrainCommand(program),
  upgrade: async program => (await import('./upgrade.ts')).addUpgradeCommand(program),
  completion: async (program, version) =>
    (await import('./completion.ts')).addCompletionCommand(program, () => everything(version)),
} satisfies Record<string, Add>

export async function addAll(to: Command, version: string): Promise<void> {
  for (const add of Object.values<Add>(commands)) await add(to, version)
}

/** For completion and the tests of the documentation: with every command, not only the one that runs. */
export async function everything(version: string): Promise<Command> {
  const all = new Command('outrigger').option('-v, --version', 'print the version').helpOption('-h, --help')
  await addAll(all, version)
  return all
}
