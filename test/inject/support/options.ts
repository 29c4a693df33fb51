import type { Options } from '../../../inject/settings.ts'

export function injectOptions(more: Partial<Options> = {}): Options {
  return { version: '0.1.0', by: 'inject', image: 'outrigger:0.1.0', mode: 'native', agent: 'off', base: {}, ...more }
}
