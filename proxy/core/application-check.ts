import type { ApplicationSpec } from '../../mesh-config/snapshot.ts'

/**
 * One check of an application. `answered` is called once, later, within its timeout: empty, or why the application is
 * not ready.
 */
export type CheckApplication = (application: ApplicationSpec, answered: (trouble: string) => void) => void
