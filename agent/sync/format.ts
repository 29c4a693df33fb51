/** The format of the ServiceSpec that this program writes (mesh-config/service-spec.ts): changed with each new field. */
export const FORMAT = 1

/** Null: the proxy reads our format. Else why not, and which side to upgrade. */
export function formatTrouble(formats: readonly number[], proxyVersion: string, agentVersion: string): string | null {
  if (formats.includes(FORMAT)) return null
  const read = formats.length === 0 ? 'none' : formats.join(', ')
  const older = formats.every(format => format < FORMAT)
  const [side, other] = older ? ['proxy', 'agent'] : ['agent', 'proxy']
  return `the proxy (${proxyVersion}) reads policies of format ${read}, and the agent (${agentVersion}) writes format ${FORMAT}: upgrade the ${side}, which is older than the ${other}`
}
