import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../peers/obtain.ts'
import { type Child, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

export interface Target {
  readonly job: string
  readonly port: number
  readonly instance: string
}

export interface PrometheusOptions {
  readonly scrape: string
  /** The text of a rule file. */
  readonly rules?: string
}

export interface Prometheus extends Child {
  /** The samples of an instant query; throws where Prometheus refuses it. */
  query(expression: string): Promise<readonly Sample[]>
  /** Any page of its API. */
  api(path: string, parameters?: Readonly<Record<string, string>>): Promise<unknown>
  /** The names of the alerts that fire, with their labels. */
  firing(): Promise<readonly Readonly<Record<string, string>>[]>
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

export function staticScrape(targets: readonly Target[]): string {
  const jobs = [...new Set(targets.map(({ job }) => job))].map(job => ({
    job_name: job,
    static_configs: targets
      .filter(target => target.job === job)
      .map(({ port, instance }) => ({ targets: [`127.0.0.1:${port}`], labels: { instance } })),
  }))
  return JSON.stringify(jobs)
}

/** A real Prometheus that scrapes and evaluates every second. */
export async function startPrometheus({ scrape, rules }: PrometheusOptions): Promise<Prometheus> {
  const folder = temporaryFolder()
  const port = await freePort()
  mkdirSync(join(folder, 'data'))
  if (rules !== undefined) writeFileSync(join(folder, 'rules.yaml'), rules)
  const file = join(folder, 'prometheus.yaml')
  // JSON is YAML.
  writeFileSync(
    file,
    `global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: ${rules === undefined ? '[]' : '[rules.yaml]'}\nscrape_configs: ${scrape}\n`,
  )
  const child = startChild(await obtain('prometheus'), [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--enable-feature=exemplar-storage',
  ])
  const api = async (path: string, parameters: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const answer = (await response.json()) as { status: string; data: unknown; error?: string }
    if (answer.status !== 'success') throw new Error(`${path} ${JSON.stringify(parameters)}: ${answer.error}`)
    return answer.data
  }
  await until('Prometheus is ready', async () => {
    try {
      return (await fetch(`http://127.0.0.1:${port}/-/ready`)).status === 200
    } catch {
      return false
    }
  })
  return {
    ...child,
    api,
    async query(expression) {
      const { result } = (await api('query', { query: expression })) as {
        result: { metric: Record<string, string>; value: [number, string] }[]
      }
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
    },
    async firing() {
      const { alerts } = (await api('alerts')) as { alerts: { labels: Record<string, string>; state: string }[] }
      return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels)
    },
  }
}
