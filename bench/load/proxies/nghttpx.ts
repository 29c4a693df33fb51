import { obtain, versionOf } from '../../../test/peers/obtain.ts'
import type { ProxyProgram } from './proxy.ts'

/** The one written for HTTP/2: it balances and does little else. */
export const nghttpx: ProxyProgram = {
  name: 'nghttpx',
  title: 'nghttpx',
  carries: ['h2', 'grpc'],
  metricsPath: null,
  prepare: async () => await versionOf('nghttpx', await obtain('nghttpx')),
  async command({ listen, upstreams }) {
    const backends = upstreams.map(port => `--backend=127.0.0.1,${port};/;proto=h2`)
    const args = [
      `--frontend=127.0.0.1,${listen};no-tls`,
      ...backends,
      '--workers=1',
      '--single-process',
      '--conf=/dev/null',
      '--log-level=WARN',
    ]
    return { command: await obtain('nghttpx'), args }
  },
}
