import type { Contestant } from './contestant.ts'

export interface Scraper {
  readonly failure: Error | null
  stop(): void
}

/** Reads the metrics page every second, as Prometheus would (only more often). */
export function scrapeEverySecond({ proxy, admin }: Contestant): Scraper {
  const state = { failure: null as Error | null, stop: () => clearInterval(timer) }
  const timer = setInterval(async () => {
    try {
      const response = await fetch(`http://127.0.0.1:${admin}${proxy.metricsPath}`, {
        signal: AbortSignal.timeout(5000),
      })
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`${proxy.metricsPath} is answered ${response.status}`)
    } catch (error) {
      state.failure ??= error as Error
    }
  }, 1000)
  return state
}
