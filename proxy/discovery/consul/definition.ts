import type { RegisterCheckSpec, RegisterSpec } from '../../../mesh-config/snapshot.ts'

/** The id that Consul itself would give the only check of a service. */
export function checkIdOf(spec: RegisterSpec): string {
  return `service:${idOf(spec)}`
}

/** Two sidecars on one agent may have the same port, at addresses of their own. */
export function idOf({ id, name, address, port }: RegisterSpec): string {
  return id ?? (address === null ? `${name}-${port}` : `${name}-${address}-${port}`)
}

/**
 * The body of `/v1/agent/service/register`. `status`: of the check until its first result; empty: critical, Consul's
 * default, so that no caller uses an instance before it was seen healthy.
 */
export function definitionOf(spec: RegisterSpec, status: string): object {
  const { name, address, port, tags, meta, weights } = spec
  return {
    Name: name,
    ID: idOf(spec),
    ...(address === null ? {} : { Address: address }),
    Port: port,
    Tags: tags,
    Meta: meta,
    Weights: { Passing: weights.passing, Warning: weights.warning },
    Check: {
      CheckID: checkIdOf(spec),
      ...checkOf(spec.check),
      ...(status === '' ? {} : { Status: status }),
      ...(spec.check.deregisterAfterMs > 0
        ? { DeregisterCriticalServiceAfter: `${spec.check.deregisterAfterMs}ms` }
        : {}),
    },
  }
}

function checkOf(check: RegisterCheckSpec): object {
  if (check.kind === 'ttl') return { Name: 'heartbeat of the sidecar', TTL: `${check.ttlMs}ms` }
  const times = { Interval: `${check.intervalMs}ms`, Timeout: `${check.timeoutMs}ms` }
  if (check.kind === 'http') return { Name: `GET ${check.target}`, HTTP: check.target, ...times }
  if (check.kind === 'tcp') return { Name: `connection to ${check.target}`, TCP: check.target, ...times }
  return { Name: `gRPC health of ${check.target}`, GRPC: check.target, ...times }
}
