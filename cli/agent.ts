import type { Command } from 'commander'

export function addAgentCommand(program: Command, version: string): void {
  program
    .command('agent')
    .description('run the agent of this host: policy for its proxies, traces, statistics')
    .option('-c, --config <file>', 'the agent file; without one everything is as by default')
    .action(async ({ config }: { readonly config?: string }) => {
      const { runAgent } = await import('../agent/main.ts')
      await runAgent({ version, file: config ?? null })
    })
}
