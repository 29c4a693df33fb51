import { parseArgs } from 'node:util'

export interface Options {
  readonly once: boolean
  readonly plain: boolean
  readonly retries: boolean
  readonly consul: boolean
  readonly jaeger: boolean
  /** Where the trace that was found is written as SVG; null: nowhere. */
  readonly picture: string | null
  /** Null: what the machine can do decides. */
  readonly perSecond: number | null
}

export const help = `outrigger demo: eleven instances of five small services, a sidecar beside each, and things that go wrong.

  npm run demo                       live, until q or Ctrl-C
  npm run demo -- --once             half a minute unattended; exit code 1 when a request failed or traffic did not move as it should

Options:
  --consul        with a real Consul: no sidecar file names an address; every sidecar registers itself and finds its peers there
                  (the first time Consul is obtained, which may take minutes)
  --jaeger        with an agent and a real Jaeger: every request becomes a trace, and one with a retry in it is shown
                  (the first time Jaeger is obtained, which takes minutes); t shows it, a line at the end says where it is
  --picture <f>   with --jaeger: write that trace as a picture (SVG) at the end
  --once          play every scene once, then say which checks passed
  --rate <n>      requests a second, 10 to 1000 (default: a quarter of what this machine can answer, 200 at most;
                  it is measured at the start)
  --no-retries    write the sidecar files without retries, to see what they are good for (--once then fails)
  --plain         one line a second, as when the output is no terminal
  --help          this text

Keys: q quit, k kill one, s slow one, r restore all.
NO_COLOR=1 turns colours off.
`

/** A text instead of options: what is wrong with the command line. */
export function readOptions(args: readonly string[]): Options | 'help' | { readonly wrong: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean', default: false },
        plain: { type: 'boolean', default: false },
        retries: { type: 'boolean', default: true },
        consul: { type: 'boolean', default: false },
        jaeger: { type: 'boolean', default: false },
        picture: { type: 'string' },
        rate: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
      allowNegative: true,
    })
    if (values.help) return 'help'
    const perSecond = values.rate === undefined ? null : Number(values.rate)
    if (perSecond !== null && !(perSecond >= 10 && perSecond <= 1000))
      return { wrong: `--rate ${values.rate}: write a number of requests a second from 10 to 1000` }
    const { once, plain, retries, consul, jaeger, picture = null } = values
    if (picture !== null && !jaeger) return { wrong: '--picture shows a trace: write --jaeger too' }
    if (jaeger && !retries)
      return { wrong: '--jaeger and --no-retries exclude each other: --jaeger looks for a trace with a retry in it' }
    return { once, plain, retries, consul, jaeger, picture, perSecond }
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) }
  }
}
