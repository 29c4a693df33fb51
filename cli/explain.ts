import type { Command } from 'commander'
import { explainText } from '../proxy/admin/explain-text.ts'
import type { ExplainAnswer } from '../proxy/core/channel.ts'
import { printable } from '../proxy/core/printable.ts'
import { type AdminOptions, askAdmin, EXIT, tell, withAdmin } from './ask-admin.ts'

interface Options extends AdminOptions {
  readonly method: string
  readonly header: readonly string[]
  readonly listener?: string
  readonly protocol?: string
  readonly to?: string
}

export function addExplainCommand(program: Command): void {
  withAdmin(program.command('explain'))
    .description('ask a running sidecar where a request would go, and why; nothing is sent')
    .argument('<url>', 'http://orders/api/1 or orders/api/1, or a path for a listener that is for one service')
    .option('-X, --method <method>', 'the method', 'GET')
    .option(
      '-H, --header <name:value>',
      'a header; may be repeated',
      (value: string, all: readonly string[]) => [...all, value],
      [] as readonly string[],
    )
    .addOption(
      program
        .createOption('--protocol <protocol>', 'what the caller speaks; by itself h2 for gRPC, else http/1.1')
        .choices(['http/1.1', 'h2']),
    )
    .option(
      '-t, --to <address>',
      'the address and port that a redirected connection was made to, such as 10.0.0.7:8080',
    )
    .option('-l, --listener <listener>', 'the listener it would come to: its name, address or port')
    .addHelpText(
      'after',
      '\nExamples:\n  outrigger explain http://orders/api/1\n  outrigger explain -X POST -H x-tester:1 http://orders/api/1 --admin 127.0.0.1:15002\n  outrigger explain http://www.example.com/ --to 93.184.216.34:80\n  outrigger explain tcp://10.0.0.9:5432\n',
    )
    .action(async (url: string, options: Options, command: Command) => {
      const nameless = options.header.find(header => header.indexOf(':') < 1)
      if (nameless !== undefined) command.error(`error: -H "${printable(nameless)}" has no name: write -H name:value`)
      if (url === '') command.error('error: the URL is empty: write http://orders/api/1')
      await explain(url, options)
    })
}

/** Prints the answer; the exit code says whether the request would succeed. */
async function explain(url: string, { admin, method, header, listener, protocol, to, json }: Options): Promise<void> {
  const query = new URLSearchParams({ url, method, format: 'json' })
  for (const each of header) query.append('header', each)
  if (listener !== undefined) query.set('listener', listener)
  if (protocol !== undefined) query.set('protocol', protocol)
  if (to !== undefined) query.set('to', to)
  const answer = await askAdmin(admin, '/explain', query)
  if (answer === null) return
  if (answer.status !== 200) {
    process.exitCode = tell({ ...answer, text: `${printable(errorOf(answer.text))}\n` }, 'plain')
    return
  }
  const explained = JSON.parse(answer.text) as ExplainAnswer
  const record = explained.record!
  tell(json === true ? answer : { status: 200, text: explainText(explained, record) }, 'explain', json === true)
  process.exitCode = record.failure === '' ? EXIT.done : EXIT.no
}

function errorOf(text: string): string {
  try {
    return String((JSON.parse(text) as { error?: unknown }).error ?? text)
  } catch {
    return text
  }
}
