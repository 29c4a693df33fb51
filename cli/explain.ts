import type { Command } from 'commander'
import { withoutUserinfo } from '../mesh-config/secret.ts'
import { printable, printableLines } from '../proxy/core/printable.ts'

interface Options {
  readonly admin: string
  readonly method: string
  readonly header: readonly string[]
  readonly listener?: string
  readonly json?: true
}

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('ask a running sidecar where a request would go, and why; nothing is sent')
    .argument('<url>', 'http://orders/api/1, or a path for a listener that is for one service')
    .option('-X, --method <method>', 'the method', 'GET')
    .option('-H, --header <name:value>', 'a header; may be repeated', (value: string, all: readonly string[]) => [...all, value], [] as readonly string[])
    .option('-l, --listener <listener>', 'the listener it would come to: its name, address or port')
    .option('-a, --admin <address>', 'the admin port of the sidecar', process.env.OUTRIGGER_ADMIN ?? '127.0.0.1:15000')
    .option('--json', 'the decision record as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  outrigger explain http://orders/api/1\n  outrigger explain -X POST -H x-tester:1 http://orders/api/1 --admin 127.0.0.1:15002\n',
    )
    .action(async (url: string, options: Options) => {
      process.exitCode = await explain(url, options)
    })
}

/** 0: explained, also where the request would fail; 1: nobody answers there; 2: the question is wrong. */
async function explain(url: string, { admin, method, header, listener, json }: Options): Promise<number> {
  const query = new URLSearchParams({ url, method, format: json === true ? 'json' : 'text' })
  for (const each of header) query.append('header', each)
  if (listener !== undefined) query.set('listener', listener)
  const address = `${admin.includes('://') ? admin : `http://${admin}`}/explain?${query}`
  const answer = await fetch(address).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
  if (answer instanceof Error) {
    const reason = answer.cause instanceof Error ? answer.cause.message : answer.message
    process.stderr.write(
      `no sidecar answers at ${printable(withoutUserinfo(admin))} (${printable(withoutUserinfo(reason)) || 'connection refused'}): is it running, and is --admin its admin port?\n`,
    )
    return 1
  }
  const text = printableLines(await answer.text())
  if (answer.ok) {
    process.stdout.write(text)
    return 0
  }
  process.stderr.write(text)
  return answer.status === 400 ? 2 : 1
}
