import './early.ts'
import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { addAll, commands } from './commands.ts'

const version = packageVersion()
const program = new Command('outrigger')
  .description('A service-mesh sidecar proxy you can understand.')
  .version(version, '-v, --version', 'print the version')
  // The name by which it was called first.
  .addOption(new Option('-V').hideHelp())
  .on('option:V', () => {
    process.stdout.write(`${version}\n`)
    process.exit()
  })
  .helpOption('-h, --help', 'print this help')
  .helpCommand('help [command]', 'print the help of a command')
  .showHelpAfterError('(--help shows what is possible)')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .addHelpText(
    'after',
    `
Examples:
  outrigger proxy -c sidecar.yaml                       run a sidecar
  outrigger run -c sidecar.yaml -- node server.js       run an application with its sidecar
  outrigger config check sidecar.yaml                   find mistakes before it runs
  outrigger config effective sidecar.yaml               every value in force, and why
  outrigger explain http://orders/api/1                 ask a running sidecar where this would go
  outrigger endpoints orders                            its endpoints: load, health, latency
  outrigger flights --failed                            what failed, and why
  outrigger upgrade                                     after an update: the new version takes over
  outrigger status                                      the mesh: who has which policy, and what is wrong
  outrigger top                                         what its services do now
  outrigger inject -f app.yaml                          a Kubernetes manifest with the sidecar in it
  outrigger dev                                         the services of dev.yaml on this machine, as a mesh

Exit codes:
  0    done; for proxy: drained after SIGTERM, SIGINT or POST /drain
  1    it could not start (a port is taken), or failed; no sidecar answers there
  2    the command line or a config file is wrong
  3    the answer is no: not ready, the request explained would fail, or the mesh is not as it should be
  130, 143   ended at once by a second SIGINT or SIGTERM`,
  )

const wanted = process.argv[2] ?? ''
// The reader may have closed the pipe (`| head`): a command ends then, a proxy goes on.
if (wanted !== 'proxy' && wanted !== 'run') {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit()
  })
}
if (isCommand(wanted)) await commands[wanted](program, version)
else await addAll(program, version)
await program.parseAsync()

function isCommand(name: string): name is keyof typeof commands {
  return Object.hasOwn(commands, name)
}

/** package.json stands one folder up, from cli/ as from dist/. */
function packageVersion(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version
}
